"""What a video is, by what is in it: names, types and headers are not believed."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from thornback.errors import DataError
from thornback.media.container import open_video, packets, refused
from thornback.secret_settings import without_private
from thornback.settings import Settings

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_FPS = 480  # of a whole video in the mean; phones film slow motion at 240
MAX_LOST_PACKETS = 250  # before the first picture: ten seconds
EXTRA_PACKETS = 1000  # so that a short video is not measured too closely
STEADY = 0.25  # a distance between two pictures that is off by more of the usual one is another rate

APART_S = 300.0  # all packets of a video of 20 GB, from a slow disk
APART_BYTES = 6 << 30  # of address space; 17 pictures of 8192 x 4320 with 10 bits are 1.8 GB

# ISO/IEC 23091-2 (H.273), transfer characteristics.
_TRANSFERS = {16: "pq", 18: "hlg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """What is taken."""

    max_bytes: int = 20 << 30
    max_seconds: float = 4 * 3600.0
    max_pixels: int = 8192 * 4320

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The operator's."""
        return cls(
            max_bytes=settings.video_max_bytes,
            max_seconds=settings.video_max_seconds,
            max_pixels=settings.video_max_pixels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """A video that can be decoded."""

    container: str  # FFmpeg's name of the format, e.g. mov,mp4,m4a,3gp,3g2,mj2
    codec: str  # e.g. h264
    size_bytes: int
    duration_s: float  # from the first to the end of the last picture, by their times
    frames: int  # packets of the stream
    key_frames: int
    untimed: int  # packets without a time
    fps: float  # in the mean
    steady: bool  # the same distance between all pictures, in the order of decoding
    width: int  # pixels as they are coded …
    height: int
    sample_aspect: float  # … width of one pixel by its height …
    rotation: int  # … and degrees, 0, 90, 180 or 270, that they are to be turned counter-clockwise
    pixel_format: str  # e.g. yuv420p10le
    bits: int  # of each channel
    interlaced: bool
    matrix: int  # H.273: 1 BT.709, 5 and 6 BT.601, 9 BT.2020; 2 where it is not said
    transfer: int  # H.273
    full_range: bool
    hdr: str | None  # pq or hlg

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as it is looked at, in square pixels."""
        width, height = round(self.width * self.sample_aspect), self.height
        return (height, width) if self.rotation % 180 else (width, height)

    def check(self, limits: VideoLimits) -> None:
        """Raises DataError where it is over a limit."""
        _check_bytes(self.size_bytes, limits)
        _check_pixels(self.width, self.height, limits)
        if self.duration_s > limits.max_seconds:
            raise _too_long(limits)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `VideoInfo(**…)` makes it again."""
        return asdict(self)


def probe(path: Path, limits: VideoLimits | None = None) -> VideoInfo:
    """Read all packets, decode the first picture.

    In this very process: use `probe_apart` for a file that nobody knows, since decoders have been known to crash.

    Raises:
        DataError: no video, over a limit, or nothing in it can be decoded.
        FileNotFoundError: there is no file.
    """
    limits = limits or VideoLimits()
    size = path.stat().st_size
    _check_bytes(size, limits)
    with open_video(path, max_pixels=limits.max_pixels) as (container, stream):
        _check_pixels(stream.codec_context.width, stream.codec_context.height, limits)
        frame = _first_picture(container, stream)
        _check_pixels(frame.width, frame.height, limits)
    with open_video(path, max_pixels=limits.max_pixels) as (container, stream):
        return _info(container, stream, frame, _scan(container, stream, limits), size)


def probe_apart(path: Path, limits: VideoLimits | None = None, *, within_s: float = APART_S) -> VideoInfo:
    """The same in a process of its own, whose memory and time are bounded. Blocks.

    Raises:
        DataError: as `probe`, and where that process crashes, takes too much, or does not end.
        FileNotFoundError: there is no file.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    asked = json.dumps({"path": str(path), "limits": asdict(limits or VideoLimits())})
    command = [sys.executable, "-m", "thornback.media.probe", asked]
    try:
        env = without_private(Settings)  # a decoder that somebody takes over finds no keys
        done = subprocess.run(command, capture_output=True, timeout=within_s, check=False, env=env)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        raise refused(f"it could not be looked through within {within_s:g} s") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise refused(f"reading it ends the decoder (status {done.returncode}); it is broken") from None
    if "refused" in answer:
        raise refused(answer["refused"])
    return VideoInfo(**answer)


def _apart(asked: str) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_AS, (APART_BYTES, APART_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    what = json.loads(asked)
    try:
        return probe(Path(what["path"]), VideoLimits(**what["limits"])).to_dict()
    except DataError as error:
        return {"refused": error.details["errors"][0]["message"]}
    except MemoryError:
        return {"refused": f"its pictures take more than {APART_BYTES >> 30} GB of memory"}


@dataclass(slots=True)
class _Scan:
    """What the packets say."""

    seconds: float = 0.0
    packets: int = 0
    key_frames: int = 0
    untimed: int = 0
    steady: bool = True


def _scan(container: InputContainer, stream: VideoStream, limits: VideoLimits) -> _Scan:
    """All packets of the stream; their contents are not looked at."""
    found, base = _Scan(), float(stream.time_base or 0)
    times: list[int] = []
    first, end = math.inf, -math.inf
    most = int(limits.max_seconds * MAX_FPS) + EXTRA_PACKETS
    for packet in packets(container, stream):
        if not packet.size:
            continue  # the end
        found.packets += 1
        found.key_frames += packet.is_keyframe
        if found.packets > most:
            raise refused(f"it has more than {most} pictures")
        if packet.pts is None:
            found.untimed += 1
            continue
        times.append(packet.pts)
        first, end = min(first, packet.pts * base), max(end, (packet.pts + (packet.duration or 0)) * base)
        if end - first > limits.max_seconds:
            raise _too_long(limits)
    usual = float(stream.average_rate or 0)
    untimed_s = found.untimed / usual if usual else 0.0
    found.seconds = (end - first if times else 0.0) + untimed_s
    if found.seconds > limits.max_seconds:
        raise _too_long(limits)
    found.steady = _is_steady(times)
    return found


def _is_steady(times: list[int]) -> bool:
    times.sort()
    steps = [after - before for before, after in pairwise(times)]
    if not steps:
        return True
    usual = sorted(steps)[len(steps) // 2]
    # Matroska rounds times to milliseconds and one step more is the time base's own.
    return all(abs(step - usual) <= max(1, usual * STEADY) for step in steps)


def _first_picture(container: InputContainer, stream: VideoStream) -> VideoFrame:
    import av

    stream.codec_context.thread_count = 1
    lost: Exception | None = None
    for count, packet in enumerate(packets(container, stream)):
        if count > MAX_LOST_PACKETS:
            break
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError) as error:
            lost = error
            continue
        if frames:
            frame: VideoFrame = frames[0]
            return frame
    why = f" ({getattr(lost, 'strerror', None) or type(lost).__name__})" if lost is not None else ""
    raise refused(f"no picture of it can be decoded{why}; it is empty, broken or encrypted")


def _info(container: InputContainer, stream: VideoStream, frame: VideoFrame, scan: _Scan, size: int) -> VideoInfo:
    rate = scan.packets / scan.seconds if scan.seconds else float(stream.average_rate or 0)
    aspect: Fraction | None = stream.sample_aspect_ratio
    return VideoInfo(
        container=container.format.name,
        codec=stream.codec_context.name,
        size_bytes=size,
        duration_s=scan.seconds,
        frames=scan.packets,
        key_frames=scan.key_frames,
        untimed=scan.untimed,
        fps=rate,
        steady=scan.steady,
        width=frame.width,
        height=frame.height,
        sample_aspect=float(aspect) if aspect else 1.0,
        rotation=frame.rotation % 360,
        pixel_format=frame.format.name,
        bits=max(component.bits for component in frame.format.components),
        interlaced=bool(frame.interlaced_frame),
        matrix=int(frame.colorspace),
        transfer=int(frame.color_trc),
        full_range=int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj"),
        hdr=_TRANSFERS.get(int(frame.color_trc)),
    )


_FULL_RANGE = 2  # AVCOL_RANGE_JPEG


def _check_bytes(size: int, limits: VideoLimits) -> None:
    if size > limits.max_bytes:
        raise refused(f"it has {size} bytes, and at most {limits.max_bytes} are taken (THORNBACK_VIDEO_MAX_BYTES)")


def _check_pixels(width: int, height: int, limits: VideoLimits) -> None:
    if width * height > limits.max_pixels:
        problem = f"its pictures have {width} x {height} pixels, and at most {limits.max_pixels} in all are taken"
        raise refused(f"{problem} (THORNBACK_VIDEO_MAX_PIXELS)")


def _too_long(limits: VideoLimits) -> Exception:
    return refused(
        f"it lasts longer than {limits.max_seconds / 60:.0f} minutes (THORNBACK_VIDEO_MAX_SECONDS); cut it into parts"
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_apart(sys.argv[1])))
