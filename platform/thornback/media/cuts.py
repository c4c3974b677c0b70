"""Where one scene ends and the next begins, decided from what was measured at the frames.

Three kinds of boundary, each with its rule:

- a cut is a single great step: the greatest around, several times the usual step of its neighbours (a moving
  camera makes all of them great), and the picture does not come back (a flash does). What flickers or swarms on one
  side of it makes steps as great; blurred, it does not, so a cut may also be one in the blurred picture alone;
- in a dissolve the frames are a mix of those before and after, which are not alike, and have less contrast;
- a fade is a frame without contrast between frames with some, not cut off from either.

Pure: the same signals give the same boundaries, in one piece or in several that overlap by `REACH_S`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from thornback.media.ranges import Stamps
from thornback.media.signals import HALVES_S, Floats, Signals


class How(StrEnum):
    """How a scene begins."""

    START = "start"
    """With the video."""
    CUT = "cut"
    DISSOLVE = "dissolve"
    FADE = "fade"


@dataclass(frozen=True, slots=True)
class Boundary:
    """Between two scenes."""

    stamp: int
    """The new scene's first frame; the middle of a dissolve or fade."""
    how: How
    strength: float = 0.0
    """A cut's step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Thresholds. Chosen on drawn clips (tests/benchmarks/video_clips.py), in the middle of wide gaps."""

    cut_step: float = 9.0
    """Least step of a cut, where the frame has ordinary contrast."""
    cut_step_dark: float = 3.5
    """The same where it has hardly any."""
    cut_refresh: float = 2.0
    """Times this at a key frame that came by the clock: the encoder draws the same picture afresh."""
    cut_ratio: float = 2.8
    """Of a cut's step to the median of its eight neighbours, after a margin of `cut_margin`."""
    cut_margin: float = 2.2
    cut_alone: float = 2.2
    """Of a cut's step to the second largest of the four around it; one may be as large, where frames are mixed."""
    cut_across: float = 0.75
    """A step whose `across` is below this share of it is a flash or its end."""
    mix_rest: float = 0.3
    mix_dip: float = 0.92
    mix_alike: float = 0.55
    mix_far: float = 8.0
    mix_middle: float = 0.25
    """A dissolve's middle has a share from this to 1 less this."""
    flat_share: float = 0.15
    """Of a faded frame's contrast to that of the frames around."""
    flat_most: float = 6.0
    """Standard deviation of a faded frame's brightness."""


PEAK_S = 0.13
FLAT_S = 1.25
"""A fade's contrast is compared with that of the frames up to so long before and after."""
APART_S = 0.5
"""Dissolves and fades nearer to each other are one."""
ORDINARY = 35.0
"""Standard deviation of brightness of an ordinary frame."""
REACH_S = FLAT_S + PEAK_S


def boundaries(signals: Signals, unit_s: float, rules: Rules | None = None) -> list[Boundary]:
    """All boundaries, in order of time; `unit_s` is the seconds of one unit of the stamps."""
    rules = rules or Rules()
    if len(signals) < 2:
        return []
    stamps = signals.stamps
    cuts = find_cuts(signals, unit_s, rules)
    hard = stamps[cuts]
    apart = APART_S / unit_s
    found = [Boundary(int(stamps[row]), How.CUT, float(signals.step[row])) for row in cuts]
    for how, places in (
        (How.FADE, find_fades(signals, hard, unit_s, rules)),
        (How.DISSOLVE, find_dissolves(signals, hard, unit_s, rules)),
    ):
        for place in places:
            stamp = int(stamps[place])
            if all(abs(stamp - other.stamp) > apart for other in found if other.how is not How.CUT):
                found.append(Boundary(stamp, how))
    return sorted(found, key=lambda boundary: boundary.stamp)


def find_cuts(signals: Signals, unit_s: float, rules: Rules) -> NDArray[np.intp]:
    """Rows of the frames that a cut leads to."""
    step, stamps = signals.step, signals.stamps
    before = np.concatenate([signals.spread[:1], signals.spread[:-1]])
    contrast = np.minimum(1, np.maximum(signals.spread, before) / ORDINARY)
    least = rules.cut_step_dark + (rules.cut_step - rules.cut_step_dark) * contrast
    least = np.where(signals.refresh, rules.cut_refresh * least, least)
    single = _single(step, signals.across, rules) | _single(signals.blurred_step, signals.blurred_across, rules)
    rows = np.flatnonzero((step > least) & single)
    width = PEAK_S / unit_s
    firsts = np.searchsorted(stamps, stamps[rows] - width)
    lasts = np.searchsorted(stamps, stamps[rows] + width, side="right")
    highest = [
        row == first + int(np.argmax(step[first:last])) for row, first, last in zip(rows, firsts, lasts, strict=True)
    ]
    return np.asarray(rows[np.array(highest, bool)], np.intp)


def _single(step: Floats, across: Floats, rules: Rules) -> NDArray[np.bool_]:
    """Where a step is alone among its neighbours and leads to another picture."""
    away = across > rules.cut_across * step
    usual = rules.cut_ratio * _around(step, 4, 0.5) + rules.cut_margin
    return np.asarray(away & (step > usual) & (step > rules.cut_alone * _around(step, 2, 2 / 3)))


def find_dissolves(signals: Signals, hard: Stamps, unit_s: float, rules: Rules) -> list[int]:
    """Rows of the middles of dissolves; no window may hold one of the cuts at `hard`."""
    score = np.full(len(signals), np.inf, np.float32)
    for column, half_s in enumerate(HALVES_S):
        share, rest, dip = signals.share[:, column], signals.rest[:, column], signals.dip[:, column]
        mixed = (rest < rules.mix_rest) & (dip < rules.mix_dip) & (signals.alike[:, column] < rules.mix_alike)
        mixed &= (signals.far[:, column] > rules.mix_far) & (np.abs(share - 0.5) < 0.5 - rules.mix_middle)
        half = half_s / unit_s
        mixed &= np.searchsorted(hard, signals.stamps - half) == np.searchsorted(hard, signals.stamps + half)
        score = np.minimum(score, np.where(mixed, rest + dip + np.abs(share - 0.5), np.inf)).astype(np.float32)
    return _best(score, signals.stamps, APART_S / unit_s)


def find_fades(signals: Signals, hard: Stamps, unit_s: float, rules: Rules) -> list[int]:
    """Rows of the flattest frames of fades."""
    spread, stamps = signals.spread, signals.stamps
    rows = np.flatnonzero(spread < rules.flat_most)
    reach, near = FLAT_S / unit_s, 2
    score = np.full(len(signals), np.inf, np.float32)
    for row in rows:
        stamp = stamps[row]
        place = int(np.searchsorted(hard, stamp, side="right"))
        begin = max(stamp - reach, hard[place - 1] if place else stamps[0])
        end = min(stamp + reach, hard[place] - 1 if place < len(hard) else stamps[-1])
        first, last = int(np.searchsorted(stamps, begin)), int(np.searchsorted(stamps, end, side="right"))
        side = float(min(spread[first : row + 1].max(), spread[row:last].max()))
        beside = float(spread[max(first, row - near) : min(last, row + near + 1)].max())
        if spread[row] < rules.flat_share * side and beside < 0.6 * side:
            score[row] = spread[row] / side
    return _best(score, stamps, APART_S / unit_s)


def _best(score: Floats, stamps: Stamps, apart: float) -> list[int]:
    """The lowest of each run of finite scores that are less than `apart` from each other."""
    rows = np.flatnonzero(np.isfinite(score))
    if not len(rows):
        return []
    runs = np.split(rows, np.flatnonzero(np.diff(stamps[rows]) > apart) + 1)
    return [int(run[np.argmin(score[run])]) for run in runs]


def _around(step: Floats, count: int, quantile: float) -> Floats:
    """A quantile of the `count` values before and as many after each."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(step, count), 2 * count + 1)
    return np.quantile(np.delete(windows, count, axis=1), quantile, axis=1).astype(np.float32)
