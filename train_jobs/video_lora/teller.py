"""What a pipeline tells of itself: the stage, progress that never goes back, and the time left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thornback.jobs.video_stages import StageClock, VideoStage, overall_percent
from thornback.metrics.reporter import Reporter

LEAST_MOVE = 0.2  # percent that are worth an event
SILENCE_S = 5.0  # after which the time left is told again all the same


class Teller:
    """One run's voice. Times come from `now`, in seconds of a clock that does not go back."""

    def __init__(self, reporter: Reporter, clock: StageClock, now: Callable[[], float]) -> None:
        self._reporter, self._clock, self._now = reporter, clock, now
        self._stage = VideoStage.FETCH
        self._since = now()
        self._shown = -1.0
        self._told_at = now()
        self._text: str | None = None

    @property
    def stage(self) -> VideoStage:
        """The present one."""
        return self._stage

    def enter(self, stage: VideoStage) -> None:
        """A stage begins."""
        self._stage, self._since = stage, self._now()
        self.say(stage.value)
        self.at(0.0)

    def say(self, text: str) -> None:
        """What is shown as the stage; the same text again is no news."""
        if text != self._text:
            self._reporter.stage(text)
            self._text = text

    def size(self, stage: VideoStage, size: float) -> None:
        """See StageClock."""
        self._clock.size(stage, size)

    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return self._now() - self._since

    def within(self, stages: Sequence[VideoStage], share: float) -> None:
        """A share, 0 to 1, of work is done that is several stages in one; each has an equal part of it."""
        place = min(int(share * len(stages)), len(stages) - 1)
        if self._stage is not stages[place]:
            self.enter(stages[place])
        self.at(share * len(stages) - place)

    def at(self, fraction: float, *, told_s: float | None = None) -> None:
        """A fraction of the stage, 0 to 1, is done; `told_s`: what the work itself says is left of it."""
        percent = max(self._shown, overall_percent(self._stage, fraction))
        now = self._now()
        if percent < self._shown + LEAST_MOVE and now < self._told_at + SILENCE_S:
            return
        self._shown, self._told_at = percent, now
        left = self._clock.left(self._stage, fraction, self.elapsed(), told_s)
        self._reporter.progress(percent=percent, epoch=0, total_epochs=0, eta_seconds=left)
