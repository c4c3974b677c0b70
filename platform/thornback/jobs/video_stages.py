"""The stages from a video to a version: their marks, progress inside them, and the time that is left. Pure.

The marks are 0, 10, 20, 35, 50, 60, 85, 95 and 100: a stage moves smoothly from its own to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class VideoStage(StrEnum):
    """What a pipeline is doing; the words are what people see."""

    FETCH = "fetching the video"
    SCENES = "finding scenes"
    FRAMES = "choosing frames"
    DATASET = "making the dataset"
    STORE = "storing the dataset"
    REVIEW = "waiting for review: look at the dataset, then approve it"
    TRAIN = "training"
    COLLECT = "fetching the LoRA"
    PUBLISH = "storing the version"

    @property
    def begins_at(self) -> float:
        """Percent overall."""
        return _MARKS[self][0]

    @property
    def ends_at(self) -> float:
        """Percent overall."""
        return _MARKS[self][1]

    @property
    def is_heavy(self) -> bool:
        """True while it fills the disk of a machine or keeps its cores busy."""
        return self in (VideoStage.FETCH, VideoStage.SCENES, VideoStage.FRAMES, VideoStage.DATASET, VideoStage.STORE)


_MARKS = {
    VideoStage.FETCH: (0.0, 10.0),
    VideoStage.SCENES: (10.0, 20.0),
    VideoStage.FRAMES: (20.0, 35.0),
    VideoStage.DATASET: (35.0, 50.0),
    VideoStage.STORE: (50.0, 60.0),
    VideoStage.REVIEW: (60.0, 60.0),
    VideoStage.TRAIN: (60.0, 85.0),
    VideoStage.COLLECT: (85.0, 95.0),
    VideoStage.PUBLISH: (95.0, 100.0),
}
IN_ORDER = tuple(VideoStage)


def overall_percent(stage: VideoStage, fraction: float) -> float:
    """Percent overall at a fraction (0 to 1) of a stage."""
    begin, end = _MARKS[stage]
    return round(begin + (end - begin) * min(1.0, max(0.0, fraction)), 3)


@dataclass(frozen=True, slots=True)
class Took:
    """What a stage took in a run: seconds, and the size of what it worked on (see `StageClock`)."""

    seconds: float
    size: float


History = Mapping[str, Sequence[Took]]
"""By stage, the newest first."""


def usual_seconds(history: Iterable[Took], size: float) -> float | None:
    """What a stage of this size takes: the middle of what others took for each unit; None without any."""
    rates = [took.seconds / took.size for took in history if took.size > 0 and took.seconds >= 0]
    return median(rates) * size if rates else None


class StageClock:
    """Time left of all stages, from what this run does and others took.

    Sizes are seconds of video for the stages up to the frames, frames for those of the dataset, steps for
    the training, and 1 for the last two. A review has no time: nobody knows how long people look.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._sizes: dict[VideoStage, float] = dict.fromkeys((VideoStage.COLLECT, VideoStage.PUBLISH), 1.0)

    def size(self, stage: VideoStage, size: float) -> None:
        """How large the work of a stage is, as soon as it is known."""
        self._sizes[stage] = size

    def usual(self, stage: VideoStage) -> float | None:
        """Seconds that a stage takes, None where nothing tells."""
        size = self._sizes.get(stage)
        if stage is VideoStage.REVIEW:
            return 0.0
        took = self._history.get(stage.name, ())
        if size is None:  # then as long as another one, whatever its size was
            return median(one.seconds for one in took) if took else None
        return usual_seconds(took, size)

    def left(self, stage: VideoStage, fraction: float, elapsed_s: float, told_s: float | None = None) -> float | None:
        """Seconds until the end of the pipeline; None while a stage that is to come cannot be told.

        Args:
            stage: the present one.
            fraction: of it that is done, 0 to 1.
            elapsed_s: since it began.
            told_s: what the stage itself says is left of it.
        """
        rest = told_s if told_s is not None else self._left_of(stage, fraction, elapsed_s)
        following = [self.usual(later) for later in IN_ORDER[IN_ORDER.index(stage) + 1 :]]
        known = [seconds for seconds in following if seconds is not None]
        if rest is None or len(known) < len(following):
            return None
        return round(rest + sum(known), 1)

    def _left_of(self, stage: VideoStage, fraction: float, elapsed_s: float) -> float | None:
        """By what others took at first, by its own pace the more of it is done."""
        usual = self.usual(stage)
        by_history = None if usual is None else max(0.0, usual * (1.0 - fraction))
        by_pace = elapsed_s * (1.0 - fraction) / fraction if fraction > 0 else None
        if by_history is None or by_pace is None:
            return by_pace if by_history is None else by_history
        return fraction * by_pace + (1.0 - fraction) * by_history
