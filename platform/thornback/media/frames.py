"""One picture of each scene, by going to it: for scenes that are known already."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame

from thornback.errors import DataError
from thornback.media.candidates import CLEAR_S, Look, best, look
from thornback.media.colour import picture
from thornback.media.cuts import Boundary, How
from thornback.media.decode import Mode, Video, opened
from thornback.media.ranges import Index, read_index
from thornback.media.run import Runner, Tell, inline, told
from thornback.media.scenes import Scene, Scenes

Format = Literal["jpeg", "png"]
SUFFIXES: dict[Format, str] = {"jpeg": ".jpg", "png": ".png"}
PNG_LEVEL = 3
LOOKED_AT = 5
"""Frames of a scene, two apart, of which the sharpest is taken."""
SHORT = 8
"""Frames. In a shorter scene every frame is decoded, or none might be."""
PARTS = 3
"""Items of work for each worker."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture that was written."""

    path: Path
    scene: int
    """The scene's index."""
    index: int
    """Frame number in the order of display, from 0."""
    pts_s: float
    """Seconds since the video's first frame, exact."""
    width: int
    height: int
    sharpness: float
    brightness: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture on its way to the disk: small enough to be carried between machines."""

    stamp: int
    data: bytes
    width: int
    height: int
    look: Look

    @property
    def sharpness(self) -> float:
        """The look's."""
        return self.look.sharpness


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are written."""

    format: Format = "jpeg"
    quality: int = 95
    """Of JPEG, 1 to 100."""

    def encode(self, stamp: int, frame: VideoFrame, seen: Look, aspect: float) -> Encoded:
        """The frame in its right colours, upright."""
        image = picture(frame, aspect)
        if self.format == "jpeg":
            flags = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        else:
            flags = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
        done, data = cv2.imencode(SUFFIXES[self.format], image, flags)
        if not done:
            raise DataError(f"a picture of {image.shape[1]}x{image.shape[0]} cannot be written as {self.format}")
        return Encoded(stamp, np.asarray(data).tobytes(), image.shape[1], image.shape[0], seen)


@dataclass(frozen=True, slots=True)
class Want:
    """A scene of which a picture is wanted, in time stamps."""

    scene: int
    start: Boundary
    end: Boundary
    key: int
    """The key frame to begin at."""
    goal: int
    """The first frame to look at."""


@dataclass(frozen=True, slots=True)
class Wants:
    """An item of work: scenes of a video, in order."""

    path: str
    wants: tuple[Want, ...]
    unit_s: float
    step_s: float
    timed: bool
    encoding: Encoding


def extract(
    path: Path,
    scenes: Scenes,
    into: Path,
    *,
    format: Format = "jpeg",
    quality: int = 95,
    run: Runner = inline,
    tell: Tell | None = None,
) -> list[Frame]:
    """A sharp picture of each scene from near its middle, written to `into` as scene-0001.jpg and so on.

    A scene of which nothing can be decoded has none.

    Raises:
        DataError: the file is no video, or its colours are coded in a way that is not known.
    """
    index = read_index(path)
    items = divide(path, index, scenes.scenes, scenes, Encoding(format, quality), run)
    frames: list[Frame] = []
    for found in told(run(fetch, items), [len(item.wants) for item in items], tell):
        frames += [write(encoded, scene, index, into, format) for scene, encoded in found]
    return frames


def divide(
    path: Path, index: Index, scenes: Sequence[Scene], all_scenes: Scenes, encoding: Encoding, run: Runner
) -> list[Wants]:
    """Scenes shared out among the workers, neighbours together."""
    wants = list(_wants(index, scenes, all_scenes))
    count = min(len(wants), run.workers * PARTS if run.workers > 1 and index.timed else 1)
    shares = [part for part in np.array_split(np.arange(len(wants)), count or 1) if len(part)]
    return [
        Wants(str(path), tuple(wants[k] for k in part), index.unit, index.step_s, index.timed, encoding)
        for part in shares
    ]


def _wants(index: Index, scenes: Sequence[Scene], all_scenes: Scenes) -> Iterator[Want]:
    for scene in scenes:
        start, end = edges(index, scene, all_scenes)
        middle = int(index.stamps[(scene.start + scene.end) // 2])
        first, last = _clear(start, end, index.unit)
        # A key frame near the middle costs nothing to go to, and is the best coded.
        keys = index.keys[(index.keys >= first) & (index.keys <= last)]
        goal = int(keys[np.argmin(np.abs(keys - middle))]) if len(keys) else middle
        earlier = index.keys[index.keys <= goal]
        yield Want(scene.index, start, end, int(earlier[-1] if len(earlier) else index.stamps[0]), goal)


def _clear(start: Boundary, end: Boundary, unit_s: float) -> tuple[float, float]:
    """The part of a scene where its ends do not show."""
    quarter = (end.stamp - start.stamp) / 4
    far = [min(2 * quarter, CLEAR_S / unit_s) if one.how in (How.DISSOLVE, How.FADE) else 0 for one in (start, end)]
    return max(start.stamp + far[0], start.stamp + quarter / 2), min(end.stamp - far[1], end.stamp - quarter)


def edges(index: Index, scene: Scene, all_scenes: Scenes) -> tuple[Boundary, Boundary]:
    """A scene's two ends, in time stamps."""
    after = all_scenes.scenes[scene.index + 1 :]
    how = after[0].how if after else How.CUT
    end = int(index.stamps[scene.end]) if scene.end < len(index.stamps) else int(index.stamps[-1]) + 1
    return Boundary(int(index.stamps[scene.start]), scene.how), Boundary(end, how)


def fetch(item: Wants) -> list[tuple[int, Encoded]]:
    """Scene numbers and their pictures."""
    cv2.setNumThreads(1)
    found: list[tuple[int, Encoded]] = []
    shortest = min((want.end.stamp - want.start.stamp for want in item.wants), default=0) * item.unit_s
    mode = Mode(reference_only=item.timed and shortest > SHORT * item.step_s)
    with opened(item.path, mode) as video:
        aspect = float(video.stream.sample_aspect_ratio or 1)
        reader = _Reader(video, item.timed)
        for want in item.wants:
            chosen = best(_seen(reader.scene(want), item), want.start, want.end, item.unit_s)
            if chosen is not None:
                found.append((want.scene, item.encoding.encode(chosen.stamp, chosen.frame, chosen.look, aspect)))
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: int
    frame: VideoFrame
    look: Look

    @property
    def sharpness(self) -> float:
        return self.look.sharpness


def _seen(frames: Iterable[tuple[int, VideoFrame]], item: Wants) -> Iterator[_Seen]:
    apart, last = 1.5 * item.step_s / item.unit_s, -math.inf
    left = iter(frames)
    for _ in range(LOOKED_AT):
        for stamp, frame in left:
            if stamp - last >= apart:
                last = stamp
                yield _Seen(stamp, frame, look(frame))
                break


class _Reader:
    """Goes through a video, on from where it stands or by a jump, whichever is nearer."""

    def __init__(self, video: Video, timed: bool) -> None:
        self.video, self.timed = video, timed
        self._frames = self._numbered(0)
        self._at: int | None = None

    def _numbered(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        for count, frame in enumerate(self.video.frames(), start=start):
            stamp = frame.pts if self.timed else count
            if stamp is not None:
                yield stamp, frame

    def scene(self, want: Want) -> Iterator[tuple[int, VideoFrame]]:
        """Frames from shortly before the goal to the scene's end."""
        if self.timed and (self._at is None or want.key > self._at or want.goal <= self._at):
            self.video.seek(want.key)
            self._frames = self._numbered(0)
        before: tuple[int, VideoFrame] | None = None
        for stamp, frame in self._frames:
            self._at = stamp
            if stamp >= want.end.stamp:
                break
            if stamp < want.goal:
                before = (stamp, frame) if stamp >= want.start.stamp else None
                continue
            before = None
            yield stamp, frame
        if before is not None:
            yield before


def write(encoded: Encoded, scene: int, index: Index, into: Path, form: Format) -> Frame:
    """To `into`, under the scene's number."""
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"scene-{scene + 1:04d}{SUFFIXES[form]}"
    path.write_bytes(encoded.data)
    return Frame(
        path=path,
        scene=scene,
        index=index.number(encoded.stamp),
        pts_s=index.seconds(encoded.stamp),
        width=encoded.width,
        height=encoded.height,
        sharpness=encoded.look.sharpness,
        brightness=encoded.look.brightness,
    )
