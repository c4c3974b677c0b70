"""Overall progress of a remote training: never backwards, and always with a word on where it is from.

Stages: 0-5 starting, 5-95 training, 95-100 saving; 100 is success and nothing else. Training that can be read is
10 + 0.85 * percent, so that 31 % of the steps is 36.35 overall; what cannot be read goes by time, 5 + 90 * t / 20 min,
and never past 95. Pure: the time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

USUAL_SECONDS = 20 * 60.0  # of a training, where nothing else is known
_STARTING_SECONDS = 120.0  # until the starting stage is full: a cold start takes a minute or two
_SAVING_SECONDS = 120.0
_READ_FROM, _PER_PERCENT = 10.0, 0.85
_MOST_WHILE_SAVING = 99.9


class Origin(StrEnum):
    """Where a figure is from, the surer the later."""

    ESTIMATED = "estimated"
    PARSED = "parsed"
    REPORTED = "reported"


class Stage(StrEnum):
    """What the provider is doing, with the share of the whole that it fills."""

    STARTING = "starting"
    TRAINING = "training"
    SAVING = "saving"
    SUCCEEDED = "succeeded"

    @property
    def begins_at(self) -> float:
        """Percent overall."""
        return _RANGES[self][0]

    @property
    def ends_at(self) -> float:
        """Percent overall that is never passed in this stage."""
        return _RANGES[self][1]


_RANGES = {
    Stage.STARTING: (0.0, 5.0),
    Stage.TRAINING: (5.0, 95.0),
    Stage.SAVING: (95.0, _MOST_WHILE_SAVING),
    Stage.SUCCEEDED: (100.0, 100.0),
}
_IN_ORDER = tuple(Stage)


@dataclass(frozen=True, slots=True)
class Progress:
    """One point."""

    percent: float  # 0..100 overall
    stage: Stage
    origin: Origin


def overall_percent(training_percent: float) -> float:
    """0..100 of the training -> 10..95 overall."""
    return round(_READ_FROM + _PER_PERCENT * min(100.0, max(0.0, training_percent)), 4)


def by_time(seconds: float, usual_seconds: float = USUAL_SECONDS) -> float:
    """Overall percent after so many seconds of training of which nothing can be read.

    `usual_seconds` is what trainings of the same trainer and steps took before, where that is known.
    """
    share = max(0.0, seconds) / max(1.0, usual_seconds)
    return round(min(95.0, 5.0 + 90.0 * share), 4)


class ProgressTracker:
    """Folds what is learned of one training into points that never go back.

    An estimate may have run ahead when the first readable line comes. It is not taken back and does not stand
    still either: it goes on at half the pace of what is read until that has caught up, and says `estimated` for as
    long. Once the log shows preparations or steps, time alone moves nothing past where the steps begin.
    """

    def __init__(self, *, usual_seconds: float = USUAL_SECONDS) -> None:
        self._usual = usual_seconds
        self._stage = Stage.STARTING
        self._since: datetime | None = None
        self._shown = Progress(0.0, Stage.STARTING, Origin.ESTIMATED)
        self._read: float | None = None  # overall, from lines or reports
        self._ahead: tuple[float, float] | None = None  # shown and read, as the first line came too late
        self._origin = Origin.PARSED
        self._readable = False

    @property
    def shown(self) -> Progress:
        """The last point."""
        return self._shown

    def resume(self, percent: float, stage: Stage, since: datetime | None, origin: Origin = Origin.ESTIMATED) -> None:
        """Go on from a point that was recorded before a restart."""
        self._stage, self._since = stage, since
        self._shown = Progress(percent, stage, origin)
        if origin is not Origin.ESTIMATED:
            self._read, self._origin, self._readable = percent, origin, True

    def enter(self, stage: Stage, at: datetime) -> None:
        """The provider has come to a stage; an earlier one than the present is ignored."""
        if self._since is None or _IN_ORDER.index(stage) > _IN_ORDER.index(self._stage):
            self._stage, self._since = max(stage, self._stage, key=_IN_ORDER.index), at

    def preparing(self) -> None:
        """The log can be read and shows that training has not begun: time stops counting where steps begin."""
        self._readable = True

    def training(self, percent: float, at: datetime, origin: Origin = Origin.PARSED) -> None:
        """So much of the training, 0..100, is done; a lower figure than before changes nothing."""
        self.enter(Stage.TRAINING, at)
        read = overall_percent(percent)
        if self._read is None and self._shown.percent > read:
            self._ahead = self._shown.percent, read
        if self._read is None or read >= self._read:
            self._read, self._origin = read, origin
        self._readable = True

    def point(self, now: datetime) -> Progress:
        """What to show now."""
        percent, origin = self._figure(now)
        percent = min(percent, self._stage.ends_at)
        if percent < self._shown.percent:
            percent = self._shown.percent
            origin = Origin.ESTIMATED if self._shown.origin is Origin.ESTIMATED else origin
        self._shown = Progress(round(percent, 4), self._stage, origin)
        return self._shown

    def _figure(self, now: datetime) -> tuple[float, Origin]:
        seconds = max(0.0, (now - self._since).total_seconds()) if self._since else 0.0
        if self._stage is Stage.SUCCEEDED:
            return 100.0, Origin.REPORTED
        if self._stage is Stage.STARTING:
            return 5.0 * min(1.0, seconds / _STARTING_SECONDS), Origin.ESTIMATED
        if self._stage is Stage.SAVING:
            return 95.0 + 4.9 * min(1.0, seconds / _SAVING_SECONDS), Origin.ESTIMATED
        if self._read is None:
            most = _READ_FROM if self._readable else 95.0
            return min(most, by_time(seconds, self._usual)), Origin.ESTIMATED
        if self._ahead is None:
            return self._read, self._origin
        shown, first = self._ahead
        moved = min(95.0, shown + (self._read - first) / 2)
        if moved > self._read:
            return moved, Origin.ESTIMATED
        self._ahead = None
        return self._read, self._origin
