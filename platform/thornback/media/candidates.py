"""The best frame of each scene, chosen while the video is decoded.

Decoded frames are large (3 MB at 1080p), so few are held: of each short stretch the sharpest of some samples.
When the scene's both ends are known, the sharpest that is not near a fade or dissolve is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

import cv2
import numpy as np
from av.video.frame import VideoFrame

from thornback.media.cuts import Boundary, How
from thornback.media.tiny import halved, rows

SAMPLE_S = 0.2
"""Frames nearer to each other than this are not both looked at."""
STRETCH_S = 0.5
JUMP, JUMP_RATIO = 5.0, 2.0
"""A step (signals.py) of this much, and so many times the one before, may be a cut and begins a new stretch."""
MOST_PIXELS = 8 * 1920 * 1080
MOST_HELD, LEAST_HELD = 10, 3
"""So many frames are held at most: as many as have `MOST_PIXELS` in all, between these bounds."""
CLEAR_S = 1.0
"""A frame so far from the middle of a dissolve or fade is clear of it."""
CLEAR_SHARE = 0.5
"""In a short scene: this share of it."""
_SHARPNESS_WIDTH = 480


@dataclass(frozen=True, slots=True)
class Look:
    """What a frame is like."""

    sharpness: float
    """Variance of the Laplacian of the brightness at 480 to 960 pixels of width: compare only frames of one video."""
    brightness: float
    """Mean, 0 to 1."""


def look(frame: VideoFrame) -> Look:
    """About 0.5 ms for 1920x1080."""
    if frame.format.is_rgb or not frame.format.is_planar:
        frame = frame.reformat(format="gray")
    bits = frame.format.components[0].bits
    whole = rows(frame.planes[0], bits > 8)
    grey = halved(whole, _SHARPNESS_WIDTH, 2)
    grey = np.right_shift(grey, bits - 8).astype(np.uint8) if bits > 8 else np.asarray(grey, np.uint8)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return Look(round(float(deviation[0, 0]) ** 2, 2), round(float(grey.mean()) / 255, 4))


class Choice(Protocol):
    """Something that stands for a moment and has a sharpness."""

    @property
    def stamp(self) -> int:
        """When."""
        ...

    @property
    def sharpness(self) -> float:
        """See `Look`."""
        ...


Some = TypeVar("Some", bound=Choice)


def best(choices: Iterable[Some], start: Boundary, end: Boundary, unit_s: float) -> Some | None:
    """The sharpest of a scene that is clear of its gradual ends, or the one that is farthest from them."""
    inside = [choice for choice in choices if start.stamp <= choice.stamp < end.stamp]
    clear = [choice for choice in inside if is_clear(choice.stamp, start, end, unit_s)]
    if clear:
        return max(clear, key=lambda choice: choice.sharpness)
    return max(inside, key=lambda choice: min(_distances(choice.stamp, start, end), default=0), default=None)


def is_clear(stamp: int, start: Boundary, end: Boundary, unit_s: float) -> bool:
    """Whether a moment of a scene is far enough from the ends that are gradual."""
    distances = _distances(stamp, start, end)
    share = CLEAR_SHARE * 0.7 if len(distances) == 2 else CLEAR_SHARE
    far = min(CLEAR_S / unit_s, (end.stamp - start.stamp) * share)
    return all(distance >= far for distance in distances)


def _distances(stamp: int, start: Boundary, end: Boundary) -> list[int]:
    """From each gradual end."""
    return [abs(stamp - bound.stamp) for bound in (start, end) if _is_gradual(bound)]


def _is_gradual(boundary: Boundary) -> bool:
    return boundary.how in (How.DISSOLVE, How.FADE)


@dataclass(slots=True)
class Held:
    """A decoded frame."""

    stamp: int
    frame: VideoFrame
    look: Look

    @property
    def sharpness(self) -> float:
        """The look's."""
        return self.look.sharpness


class Pool:
    """The frames held for scenes that are not decided yet."""

    def __init__(self, unit_s: float) -> None:
        self.unit_s = unit_s
        self._sample, self._stretch = SAMPLE_S / unit_s, STRETCH_S / unit_s
        self._held: list[Held] = []
        self._began: int | None = None
        self._sampled: int | None = None
        self._step = 0.0

    def __len__(self) -> int:
        return len(self._held)

    def offer(self, stamp: int, frame: VideoFrame, step: float) -> None:
        """The next frame, and how far it is from the one before."""
        jump = step >= max(JUMP, JUMP_RATIO * self._step)
        self._step = step
        fresh = jump or self._began is None or stamp - self._began >= self._stretch
        if fresh:
            self._began = stamp
        elif self._sampled is not None and stamp - self._sampled < self._sample:
            return
        self._sampled = stamp
        held = Held(stamp, frame, look(frame))
        if fresh:
            self._held.append(held)
        elif held.sharpness > self._held[-1].sharpness:
            self._held[-1] = held
        if len(self._held) > min(MOST_HELD, max(LEAST_HELD, MOST_PIXELS // (frame.width * frame.height))):
            self._drop_one()

    def _drop_one(self) -> None:
        """Of the two that are nearest in time, the less sharp."""
        gaps = [after.stamp - before.stamp for before, after in pairwise(self._held)]
        place = gaps.index(min(gaps))
        pair = self._held[place : place + 2]
        self._held.remove(min(pair, key=lambda held: held.sharpness))

    def settle(self, start: Boundary, end: Boundary) -> Held | None:
        """The best of a scene; its frames and all before it are let go."""
        chosen = best(self._held, start, end, self.unit_s)
        self._held = [held for held in self._held if held.stamp >= end.stamp]
        return chosen

    def thin(self, start: Boundary, decided: int) -> None:
        """In a scene that goes on after `decided`, keep the best of those that are clear of whatever ends it."""
        old = Boundary(decided - round(CLEAR_S / self.unit_s), How.CUT)
        chosen = best(self._held, start, old, self.unit_s)
        self._held = [held for held in self._held if held is chosen or held.stamp >= old.stamp]


Keep = Callable[[Held], None]


def settle_all(pool: Pool, bounds: Sequence[Boundary], keep: Keep) -> None:
    """Decide the scenes between consecutive boundaries."""
    for start, end in pairwise(bounds):
        chosen = pool.settle(start, end)
        if chosen is not None:
            keep(chosen)
