"""Frames of a video, one after the other, decoded by PyAV (FFmpeg) on one thread.

One thread: a decoder's own threads cost a quarter more CPU time than pieces of the video that are decoded side
by side. A broken packet is left out and counted; only a file without any video is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from thornback.media.container import open_video

PROBED = 4
"""Packets looked at after a jump, to see whether it led to a key frame that is early enough."""

STRICT = ("h264", "hevc")
"""Decoders that are told to give up a broken frame. By themselves they fill it up with what was there before."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What a decoder may leave out. Both save about a quarter of its time."""

    reference_only: bool = False
    """Without the frames that no other frame needs (most B-frames). A damaged frame may pass for one of these."""
    rough: bool = False
    """Without the deblocking filter: good enough to compare frames, never to keep one."""


class Video:
    """One open file and its stream of pictures."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.container = container
        self.stream = stream
        self.broken = 0
        """Packets and frames that could not be decoded, so far."""
        self._strict = stream.codec_context.name in STRICT
        self._lost = False
        """Whether what is decoded builds on a broken frame, until the next key frame."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """All packets of the stream from where the file stands. The end of a file cut short is an end."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                self.broken += 1
                return
            if packet is None:
                return
            yield packet

    def seek(self, pts: int) -> None:
        """Go to a key frame at or before this time, in units of the stream's time base."""
        earliest = min(0, self.stream.start_time or 0)
        second = int(1 / self.stream.time_base) if self.stream.time_base else 1
        # Some containers are sought by decoding time, which may land on the key frame after the wanted one.
        for early in (0, 1, 8):
            target = max(earliest, pts - early * second)
            if not self._jump(target):
                break
            if any(p.is_keyframe and p.pts is not None and p.pts <= pts for p in islice(self.packets(), PROBED)):
                self._jump(target)
                return
        self._jump(earliest)

    def _jump(self, pts: int) -> bool:
        try:
            self.container.seek(pts, stream=self.stream, backward=True)
        except av.FFmpegError:
            return False
        return True

    def frames(self) -> Iterator[VideoFrame]:
        """Decoded frames in the order of display, from where the file stands."""
        for packet in self.packets():
            yield from self._decoded(packet)

    def keep_all(self) -> None:
        """From now on decode every frame, whatever the mode was."""
        self.stream.codec_context.skip_frame = "DEFAULT"

    def _decoded(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        try:
            frames = self.stream.decode(packet)
        except (av.FFmpegError, ValueError):
            self.broken += 1
            self._lost = self._strict
            return
        for frame in frames:
            self._lost = self._lost and not frame.key_frame
            if frame.is_corrupt or self._lost:
                self.broken += 1
            else:
                yield frame


@contextmanager
def opened(path: str | Path, mode: Mode | None = None) -> Iterator[Video]:
    """The file, ready to decode. Raises DataError where it is no video that can be read."""
    mode = mode or Mode()
    with open_video(Path(path)) as (container, stream):
        codec = stream.codec_context
        codec.thread_type = "SLICE"
        codec.thread_count = 1
        options = {"err_detect": "explode"} if codec.name in STRICT else {}
        if mode.rough:
            options["skip_loop_filter"] = "all"
        codec.options = {**codec.options, **options}
        if mode.reference_only:
            codec.skip_frame = "NONREF"
        yield Video(container, stream)
