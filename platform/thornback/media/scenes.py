"""The scenes of a video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import cv2

from thornback.errors import DataError
from thornback.media.cuts import Boundary, How, Rules, boundaries
from thornback.media.decode import Mode, opened
from thornback.media.pieces import Piece, cut_up, shown, weights
from thornback.media.ranges import Index, read_index
from thornback.media.run import Runner, Tell, inline, told
from thornback.media.signals import REACH_S, Meter, Signals
from thornback.media.tiny import tiny

BATCH = 64
"""Frames between two measurements: enough for numpy, few enough for memory."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How scenes are found."""

    min_scene_s: float = 0.4
    """A shorter scene is part of the one before it."""
    every_frame: bool = False
    """Decode also the frames that no other needs: a third slower, and cuts are exact to the frame and not to one
    or two."""
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Scene:
    """Frames `start` to `end` (not included), in the order of display from 0."""

    index: int
    start: int
    end: int
    start_s: float
    """Seconds since the video's first frame, as is `end_s`."""
    end_s: float
    how: How
    """How it begins."""


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """All scenes, in order, without gaps."""

    scenes: tuple[Scene, ...]
    frames: int
    """Of the video."""
    length_s: float
    broken: int
    """Packets and frames that could not be decoded."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        scenes = tuple(Scene(**{**scene, "how": How(scene["how"])}) for scene in held["scenes"])
        return cls(scenes=scenes, frames=held["frames"], length_s=held["length_s"], broken=held["broken"])


def find_scenes(
    path: Path, *, run: Runner = inline, options: Options | None = None, tell: Tell | None = None
) -> Scenes:
    """Decode the video once, roughly, and tell its scenes.

    Raises:
        DataError: the file is no video, or nothing in it can be decoded.
    """
    options = options or Options()
    index = read_index(path)
    mode = Mode(reference_only=not options.every_frame, rough=True)
    pieces = cut_up(str(path), index, run, REACH_S, mode)
    measured = list(told(run(measure, pieces), weights(pieces, index), tell))
    signals = joined((part for part, _ in measured), path)
    broken = sum(count for _, count in measured)
    return arranged(signals, index, options, broken)


def measure(piece: Piece) -> tuple[Signals, int]:
    """The signals of the frames that a piece answers for, and how much of it was broken."""
    cv2.setNumThreads(1)
    meter = Meter(piece.unit_s, piece.step_s)
    parts: list[Signals] = []
    with opened(piece.path, piece.mode) as video:
        for count, (stamp, frame) in enumerate(shown(video, piece), start=1):
            meter.add(stamp, tiny(frame), refresh=stamp in piece.refreshes)
            if count % BATCH == 0:
                parts.append(meter.take())
        parts.append(meter.take(last=True))
        return Signals.join(parts).within(piece.span), video.broken


def joined(parts: Iterable[Signals], path: Path) -> Signals:
    """The signals of all pieces. Raises DataError where there is not one frame."""
    signals = Signals.join(list(parts))
    if not len(signals):
        raise DataError(f"no frame of {path.name} can be decoded")
    return signals


def arranged(signals: Signals, index: Index, options: Options, broken: int) -> Scenes:
    """Scenes from signals."""
    found = boundaries(signals, index.unit, options.rules)
    kept = spaced(found, index, options.min_scene_s)
    starts = [Boundary(int(index.stamps[0]), How.START), *kept]
    numbers = [*(index.number(start.stamp) for start in starts), len(index.stamps)]
    times = [*(index.seconds(start.stamp) for start in starts), index.length_s]
    scenes = tuple(
        Scene(place, numbers[place], numbers[place + 1], times[place], times[place + 1], start.how)
        for place, start in enumerate(starts)
    )
    return Scenes(scenes=scenes, frames=len(index.stamps), length_s=index.length_s, broken=broken)


def spaced(found: Sequence[Boundary], index: Index, least_s: float) -> list[Boundary]:
    """Without those that would make a scene of less than `least_s`. Cuts go first, the strongest of them foremost."""
    kept: list[Boundary] = []
    for boundary in sorted(found, key=lambda one: (one.how is not How.CUT, -one.strength, one.stamp)):
        time = index.seconds(boundary.stamp)
        bounds = [0.0, index.length_s, *(index.seconds(other.stamp) for other in kept)]
        if all(abs(time - bound) >= least_s for bound in bounds):
            kept.append(boundary)
    return sorted(kept, key=lambda one: one.stamp)
