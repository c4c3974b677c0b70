"""A video's frames by their time stamps, and its division into pieces that are decoded side by side.

A piece begins at a key frame, so that nothing before it has to be decoded. What is measured at a frame needs
the frames up to `reach` before and after it; a piece therefore answers for the time from `reach` after its
first frame to `reach` after the first frame of the next one, and reads on until twice that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thornback.errors import DataError
from thornback.media.decode import opened

Stamps = NDArray[np.int64]
SHORTEST_S = 12.0
"""Pieces are not shorter: each decodes up to 2·reach twice."""
ROUNDS = 2
"""Pieces for each worker, so that progress moves and no worker waits long for the slowest."""


@dataclass(frozen=True)
class Index:
    """What the packets say, without decoding: 70,000 frames a second."""

    stamps: Stamps
    """Presentation times of all frames, rising, in `unit`s. Without time stamps in the file: 0, 1, 2, …"""
    keys: Stamps
    """Those of the key frames."""
    unit: float
    """Seconds of one unit."""
    timed: bool
    """Whether the file has time stamps. If not, it can only be read from its beginning."""

    @property
    def refreshes(self) -> frozenset[int]:
        """Key frames that came because the greatest distance between two was over, not because the picture changed."""
        gaps = np.diff(self.keys)
        return frozenset(self.keys[1:][gaps == gaps.max()].tolist()) if len(gaps) else frozenset()

    @property
    def step_s(self) -> float:
        """Seconds between two frames (the median)."""
        if len(self.stamps) < 2:
            return self.unit
        return float(np.median(np.diff(self.stamps))) * self.unit

    @property
    def length_s(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float(self.stamps[-1] - self.stamps[0]) * self.unit + self.step_s

    def seconds(self, stamp: int) -> float:
        """Time since the first frame."""
        return float(stamp - self.stamps[0]) * self.unit

    def number(self, stamp: int) -> int:
        """How many frames are shown before this time."""
        return int(np.searchsorted(self.stamps, stamp))


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a video in time stamps. None as a bound: the video's own begin or end."""

    first: int | None = None
    """The key frame to begin at."""
    own_from: int | None = None
    """From this time on it answers for what it finds,"""
    own_to: int | None = None
    """to before this one."""
    stop: int | None = None
    """No frame from this time on is needed."""

    def owns(self, stamp: int) -> bool:
        """Whether this span answers for a moment."""
        return (self.own_from is None or stamp >= self.own_from) and (self.own_to is None or stamp < self.own_to)


def read_index(path: str | Path) -> Index:
    """Reads all packets of the file. Raises DataError where there is no frame."""
    with opened(path) as video:
        rate = video.stream.average_rate or video.stream.guessed_rate or 25
        unit = float(video.stream.time_base or 1)
        packets = [(p.pts, p.is_keyframe) for p in video.packets() if p.size and not p.is_discard]
    if not packets:
        raise DataError(f"{Path(path).name} has no frame in it")
    if any(pts is None for pts, _ in packets):
        count = np.arange(len(packets), dtype=np.int64)
        return Index(count, count[[key for _, key in packets]], 1 / float(rate), timed=False)
    stamps = np.array([pts for pts, _ in packets], np.int64)
    keys = stamps[[key for _, key in packets]]
    return Index(np.unique(stamps), np.unique(keys), unit, timed=True)


def plan(index: Index, workers: int, reach_s: float, longest_s: float = math.inf) -> list[Span]:
    """Pieces of about equal length, each from a key frame, enough for the workers and none much over `longest_s`.

    One for a short video or one without time stamps.
    """
    most = math.floor(index.length_s / max(SHORTEST_S, 8 * reach_s))
    wanted = max(workers * ROUNDS if workers > 1 else 1, math.ceil(index.length_s / longest_s))
    wanted = min(math.ceil(wanted / workers) * workers, most)
    if not index.timed or wanted < 2:
        return [Span()]
    ideal = np.linspace(index.stamps[0], index.stamps[-1], wanted + 1)[1:-1]
    after = np.searchsorted(index.keys, ideal)
    starts = sorted({int(index.keys[k]) for k in after if 0 < k < len(index.keys)})
    reach = math.ceil(reach_s / index.unit)
    firsts: list[int | None] = [None, *starts]
    bounds: list[int | None] = [None, *(start + reach for start in starts), None]
    stops: list[int | None] = [*(start + 2 * reach for start in starts), None]
    return [Span(*span) for span in zip(firsts, bounds[:-1], bounds[1:], stops, strict=True)]
