"""What is measured at every frame of a video, so that cuts, dissolves and fades can be told from movement.

`Meter` takes frames in order and keeps two seconds of them, tiny. Of a frame it measures

- `step`: how far it is from the frame before (see `tiny.distance`);
- `across`: the least distance between any frame shortly before and any shortly after; a flash comes back to
  where it was, so its `across` is small, and a cut does not;
- `blurred_step` and `blurred_across`: the same of pictures so coarse that what is small and moves hardly counts;
- `refresh`: whether the encoder drew it afresh because it was time to (see `ranges.Index.refreshes`);
- `spread` and `mean` of its brightness (0 to 255); a frame of one colour has no spread;
- at three half-widths of a window around it, between the window's first frame S and last frame E, the mix
  S + share · (E - S) that is nearest to the frame:
  `share` itself, `rest` (what the mix does not explain, over |E - S|), `dip` (the frame's own spread over the mix of
  the spreads of S and E: unrelated pictures on each other lose contrast, 0.7 in their middle), `alike` (the
  correlation of S and E) and `far` (the distance of S and E).

Frames that are in a dissolve are a mix; a frame of a pan is none, and a change of light keeps `alike` and `dip`
near 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from thornback.media.ranges import Span, Stamps
from thornback.media.tiny import COARSE_HEIGHT, COARSE_WIDTH, Coarse, Tiny, coarse, distance

Floats = NDArray[np.float32]

HALVES_S = (0.375, 0.5, 0.75)
"""Half-widths of the windows."""
RETURN_S = 0.21
"""A flash is over after this time. Frames so far apart are compared for `across`."""
MOST_LAGS = 8
REACH_S = max(HALVES_S)
SHARE_MOST = 0.3
"""A share that is farther from a half is no middle of a dissolve."""
_PLANE = COARSE_WIDTH * COARSE_HEIGHT


@dataclass(frozen=True)
class Signals:
    """One row for each frame."""

    stamps: Stamps
    step: Floats
    across: Floats
    blurred_step: Floats
    blurred_across: Floats
    refresh: NDArray[np.bool_]
    spread: Floats
    mean: Floats
    share: Floats
    """(frames, half-widths), as are the following."""
    rest: Floats
    dip: Floats
    alike: Floats
    far: Floats

    def __len__(self) -> int:
        return len(self.stamps)

    def within(self, span: Span) -> Self:
        """The frames that a span answers for."""
        first, last = 0, len(self)
        if span.own_from is not None:
            first = int(np.searchsorted(self.stamps, span.own_from))
        if span.own_to is not None:
            last = int(np.searchsorted(self.stamps, span.own_to))
        return self[first:last]

    def __getitem__(self, part: slice) -> Self:
        return type(self)(*(getattr(self, field.name)[part] for field in fields(self)))

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """One after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class Meter:
    """Takes tiny frames in the order of display and measures each as soon as those after it are there."""

    def __init__(self, unit_s: float, step_s: float) -> None:
        self.reach = round(REACH_S / unit_s)
        self.halves = [round(half / unit_s) for half in HALVES_S]
        self.lags = min(MOST_LAGS, max(2, round(RETURN_S / step_s)))
        self._recent: list[Tiny] = []
        self._stamps: list[int] = []
        self._near: list[list[float]] = []
        self._refresh: list[bool] = []
        self._coarse: list[Coarse] = []
        self._measured = 0
        """How many of the held frames have been measured before."""

    def add(self, stamp: int, small: Tiny, *, refresh: bool = False) -> float:
        """The next frame; gives its `step`."""
        near = [distance(small, earlier) for earlier in reversed(self._recent)]
        self._near.append(near + [np.inf] * (self.lags - len(near)))
        self._recent = [*self._recent[1 - self.lags :], small]
        self._stamps.append(stamp)
        self._refresh.append(refresh)
        self._coarse.append(coarse(small))
        return near[0] if near else 0.0

    def take(self, *, last: bool = False) -> Signals:
        """What can be measured now and was not before: all up to `reach` before the newest, or to the end."""
        stamps = np.array(self._stamps, np.int64)
        ready = len(stamps) if last or not len(stamps) else int(np.searchsorted(stamps, stamps[-1] - self.reach))
        done = max(self._measured, ready)
        signals = self._measure(stamps, slice(self._measured, done))
        self._forget(stamps, done)
        return signals

    def _forget(self, stamps: Stamps, done: int) -> None:
        if done < len(stamps):
            oldest = int(np.searchsorted(stamps, stamps[done] - self.reach - 1))
            gone = max(0, min(oldest, done - self.lags))
            for held in (self._stamps, self._near, self._refresh, self._coarse):
                del held[:gone]
            done -= gone
        self._measured = done

    def _measure(self, stamps: Stamps, part: slice) -> Signals:
        views = np.array(self._coarse, np.float32).reshape(-1, 3 * _PLANE)
        near = np.array(self._near, np.float32).reshape(-1, self.lags)
        spread, mean = views[part, :_PLANE].std(axis=1), views[part, :_PLANE].mean(axis=1)
        share, rest, dip, alike, far = np.stack([_mix(views, stamps, part, half) for half in self.halves], axis=2)
        blurred = _distances(views, self.lags)
        refresh = np.array(self._refresh, np.bool_)[part]
        steps = (_step(near)[part], _across(near)[part], _step(blurred)[part], _across(blurred)[part])
        return Signals(stamps[part], *steps, refresh, spread, mean, share, rest, dip, alike, far)


def _step(near: Floats) -> Floats:
    """From the frame before; 0 for the first."""
    return np.where(np.isfinite(near[:, 0]), near[:, 0], 0).astype(np.float32)


def _distances(views: Floats, lags: int) -> Floats:
    """Of each frame from the `lags` before it, on the scale of `tiny.distance`: (frames, lags)."""
    near = np.full((len(views), lags), np.inf, np.float32)
    for lag in range(1, min(lags + 1, len(views))):
        near[lag:, lag - 1] = 3 * np.abs(views[lag:] - views[:-lag]).mean(axis=1)
    return near


def _across(near: Floats) -> Floats:
    """The least of near[b, b - a] over a < i <= b with 2 <= b - a <= lags; `near[i, k]` is to frame i - 1 - k."""
    count, lags = near.shape
    least = np.full(count, np.inf, np.float32)
    for lag in range(2, lags + 1):
        values = near[:, lag - 1]
        for later in range(min(lag, count)):
            np.minimum(least[: count - later], values[later:], out=least[: count - later])
    return least


def _mix(views: Floats, stamps: Stamps, part: slice, half: int) -> Floats:
    """`share`, `rest`, `dip`, `alike` and `far` for one half-width: (5, frames).

    `rest` and what follows from it is infinite where the share alone says that the frame is no middle.
    """
    top = max(0, len(stamps) - 1)
    starts = np.searchsorted(stamps, stamps[part] - half).clip(0, top)
    ends = np.searchsorted(stamps, stamps[part] + half).clip(0, top)
    here, start, end = views[part], views[starts], views[ends]
    way = end - start
    found = np.full((5, len(here)), np.inf, np.float32)
    found[0] = np.einsum("ij,ij->i", here - start, way) / (np.einsum("ij,ij->i", way, way) + 1e-3)
    middle = np.abs(found[0] - 0.5) < SHARE_MOST
    here, start, end, way, share = (values[middle] for values in (here, start, end, way, found[0]))
    length = np.abs(way).sum(axis=1) + 1e-3
    rest = np.abs(here - start - share[:, None] * way).sum(axis=1) / length
    flat, flat_start, flat_end = _flattened(here), _flattened(start), _flattened(end)
    deviation, from_start, from_end = (np.sqrt(np.square(x).mean(axis=1)) + 1e-3 for x in (flat, flat_start, flat_end))
    dip = deviation / ((1 - share) * from_start + share * from_end)
    alike = (flat_start * flat_end).mean(axis=1) / (from_start * from_end)
    found[1:, middle] = rest, dip, alike, length / _PLANE
    return found


def _flattened(views: Floats) -> Floats:
    """Without the mean of each plane."""
    planes = views.reshape(-1, 3, _PLANE)
    return np.reshape(planes - planes.mean(axis=2, keepdims=True), (-1, 3 * _PLANE))
