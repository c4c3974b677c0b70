"""Time left of a training from the steps that were seen, in spite of pauses.

A stretch that took far longer than the middle one is a pause, for samples or a checkpoint; the pace is that of recent
stretches without them. Pauses that come again and again are part of what is left all the same: as many as fit, each
as long as the middle one was. The range is from the slower and faster of the recent stretches, and from where the
pace is drifting. Pure: every time is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from thornback.jobs.progress import Origin

_RECENT = 120  # stretches between two sightings that are kept
_PACE = 30  # of them, the newest, that make the pace
_LEAST = 2  # stretches from which a pace is read
_PAUSE = 3.0  # times the usual time per step, and
_PAUSE_SECONDS = 5.0  # at least so much longer than expected
_STRETCHES = 8  # of which the range is made
_WIDEST = 0.5  # share by which the range is wide while little is known
_NARROWEST = 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds from the moment it was asked for."""

    seconds: float
    low: float
    high: float
    origin: Origin  # parsed: from this run's steps; estimated: from what others took


@dataclass(frozen=True, slots=True)
class _Stretch:
    steps: int
    seconds: float
    end: int  # step

    @property
    def per_step(self) -> float:
        return self.seconds / self.steps


class Eta:
    """Sightings of one training; `total` steps may become known later."""

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self._stretches: deque[_Stretch] = deque(maxlen=_RECENT)
        self._last: tuple[int, datetime] | None = None
        self._began: tuple[int, datetime] | None = None
        self._before = 0.0  # seconds without a step, already carried to the next stretch

    def add(self, step: int, at: datetime, total: int | None = None) -> None:
        """A step was seen. The same or an earlier step, and an earlier time, change nothing."""
        self.total = total or self.total
        if self._last is None:
            self._last = self._began = (step, at)
            return
        seen, when = self._last
        seconds = (at - when).total_seconds()
        if step <= seen or seconds < 0:
            return
        self._last = step, at
        if seconds > 0:
            self._stretches.append(_Stretch(step - seen, seconds, step))
        elif self._stretches:
            # A log comes in pieces of several redraws: all of their steps took the time since the piece before.
            stretch = self._stretches.pop()
            self._stretches.append(_Stretch(stretch.steps + step - seen, stretch.seconds, step))

    def estimate(self, now: datetime) -> Estimate | None:
        """Time left, or None while the total or the pace is not known."""
        if self._last is None or self.total is None or len(self._stretches) < _LEAST:
            return None
        step, at = self._last
        rest = max(0, self.total - step)
        pace, pauses = self._pace(), self._pauses()
        silent = max(0.0, (now - at).total_seconds())
        ahead = self._pauses_ahead(step, rest, pauses)
        left = rest * pace + ahead - self._passed(silent, pace, pauses)
        low, high = self._spread(rest, pace, ahead)
        floor = rest * pace * _NARROWEST
        seconds = max(floor, left)
        shift = seconds - (rest * pace + ahead)
        return Estimate(
            seconds=round(seconds, 1),
            low=round(max(0.0, min(low + shift, seconds)), 1),
            high=round(max(high + shift, seconds) + self._overdue(silent, pace, pauses), 1),
            origin=Origin.PARSED,
        )

    def _pace(self) -> float:
        """Seconds per step without pauses."""
        recent = self._plain()[-_PACE:]
        return sum(stretch.seconds for stretch in recent) / sum(stretch.steps for stretch in recent)

    def _usual(self) -> float:
        """Seconds per step: the weighted median, so that a stretch counts by its steps."""
        return _weighted_median([(stretch.per_step, stretch.steps) for stretch in self._stretches])

    def _plain(self) -> list[_Stretch]:
        usual = self._usual()
        plain = [stretch for stretch in self._stretches if not _is_pause(stretch, usual)]
        return plain or list(self._stretches)

    def _pauses(self) -> list[tuple[int, float]]:
        """(step after it, seconds beyond the usual pace) of every pause among the recent stretches."""
        usual = self._usual()
        return [(s.end, s.seconds - s.steps * usual) for s in self._stretches if _is_pause(s, usual)]

    def _pauses_ahead(self, step: int, rest: int, pauses: list[tuple[int, float]]) -> float:
        if not pauses:
            return 0.0
        lengths = median(length for _, length in pauses)
        if len(pauses) == 1:
            begin = self._stretches[0].end - self._stretches[0].steps
            every: float = max(pauses[0][0] - begin, step - pauses[0][0], 1)
            # Seen once, it may never come again: half of what would come.
            return lengths * (rest // every) / 2
        ends = [end for end, _ in pauses]
        every = max(1.0, median(b - a for a, b in pairwise(ends)))
        since = step - ends[-1]
        if since > 2 * every + 1:
            return 0.0  # they have stopped, as those of a slow start do
        return lengths * int((rest + since) // every)

    @staticmethod
    def _passed(silent: float, pace: float, pauses: list[tuple[int, float]]) -> float:
        """What of the silence since the last step belongs to the next one or to a pause that was counted."""
        usual_pause = median(length for _, length in pauses) if pauses else 0.0
        return min(silent, pace + usual_pause)

    @staticmethod
    def _overdue(silent: float, pace: float, pauses: list[tuple[int, float]]) -> float:
        usual_pause = median(length for _, length in pauses) if pauses else 0.0
        return max(0.0, silent - pace - usual_pause)

    def _spread(self, rest: int, pace: float, ahead: float) -> tuple[float, float]:
        paces = self._stretch_paces()
        middle = rest * pace + ahead
        least = max(_NARROWEST, _WIDEST / max(1, len(self._stretches)) ** 0.5 / 2)
        low = min(min(paces) * rest + ahead / 2, middle * (1 - least))
        high = max(max(paces) * rest + ahead, middle * (1 + least))
        drift = (paces[-1] - paces[0]) * rest
        return min(low, middle + drift), max(high, middle + drift)

    def _stretch_paces(self) -> list[float]:
        """Paces of up to eight parts of the recent past, without pauses."""
        plain = self._plain()
        size = max(1, -(-len(plain) // _STRETCHES))
        parts = [plain[start : start + size] for start in range(0, len(plain), size)]
        return [sum(s.seconds for s in part) / sum(s.steps for s in part) for part in parts]


def from_history(durations: Sequence[tuple[int, float]], steps: int, elapsed: float = 0.0) -> Estimate | None:
    """Before the first step: what trainings of the same trainer took, (steps, seconds) of each, newest first.

    Those of the same number of steps count alone where there are any; others are scaled by their steps.
    """
    same = [seconds for count, seconds in durations if count == steps and seconds > 0]
    scaled = [seconds * steps / count for count, seconds in durations if count > 0 and seconds > 0]
    taken = sorted((same or scaled)[:20])
    if not taken or steps <= 0:
        return None
    middle = median(taken)
    width = _WIDEST / len(taken) ** 0.5 if same else _WIDEST
    low, high = min(taken[0], middle * (1 - width)), max(taken[-1], middle * (1 + width))
    return Estimate(
        seconds=round(max(0.0, middle - elapsed), 1),
        low=round(max(0.0, low - elapsed), 1),
        high=round(max(0.0, high - elapsed), 1),
        origin=Origin.ESTIMATED,
    )


def _is_pause(stretch: _Stretch, usual: float) -> bool:
    expected = stretch.steps * usual
    return stretch.seconds > expected + max(_PAUSE_SECONDS, (_PAUSE - 1) * usual)


def _weighted_median(values: list[tuple[float, int]]) -> float:
    ordered = sorted(values)
    half, run = sum(weight for _, weight in ordered) / 2, 0
    for value, weight in ordered:
        run += weight
        if run >= half:
            return value
    return ordered[-1][0]
