"""Opening a file that may be anything, so that FFmpeg reads this file as a video and reads nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from thornback.errors import DataError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

# What FFmpeg may take a file for. Left out are playlists and scripts, which name further files and addresses (hls,
# dash, concat, image2, sdp, webvtt …), raw streams that any bytes can be taken for, and everything nobody sends.
FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf")
MAX_PIXELS = 8192 * 8192  # whatever the settings say
OPEN_S = 30.0  # a disk that does not answer

_OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "protocol_whitelist": "file",
    "enable_drefs": "0",  # of mov: other files that a track may name
    "use_absolute_path": "0",
    "max_streams": "64",
}


@contextmanager
def open_video(path: Path, *, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A file and the stream of pictures in it; nothing is decoded yet, and threads are left as FFmpeg sets them.

    Pictures of more than `max_pixels` are refused by the decoder before memory is taken for them, in the middle of
    a video too.

    Raises:
        DataError: no video, or none of the formats above.
        FileNotFoundError: there is no file.
    """
    import av

    real = path.resolve(strict=True)
    if not real.is_file():
        raise refused("it is no file")
    limit = {"max_pixels": str(max_pixels)}
    try:
        # `file:` in front, or a name such as `concat:a|b` would be a protocol.
        container = av.open(
            f"file:{real}",
            container_options=_OPTIONS,
            options=limit,
            timeout=OPEN_S,
            metadata_errors="replace",  # titles come in every encoding
        )
    except av.FFmpegError as error:
        raise refused(f"it is no video that can be read ({_words(error)}); MP4, MOV, WebM and MKV are") from None
    with container:
        stream = video_stream(container)
        stream.codec_context.options = limit
        yield container, stream


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """All packets of the stream; where the file cannot be read on, it ends."""
    import av

    coming = container.demux(stream)
    while True:
        try:
            packet = next(coming, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        yield packet


def video_stream(container: InputContainer) -> VideoStream:
    """The greatest stream of pictures; the cover of a song is none. Raises DataError."""
    from av.stream import Disposition

    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        raise refused("it has no pictures, perhaps it is sound alone")
    stream = max(
        streams, key=lambda one: one.codec_context.width * one.codec_context.height if one.codec_context else 0
    )
    if stream.codec_context is None:
        raise refused("its pictures are coded in a way that this FFmpeg does not know")
    return stream


def refused(problem: str) -> DataError:
    """Why a video is not taken."""
    return DataError(f"the video cannot be used: {problem}", errors=[{"field": "video", "message": problem}])


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
