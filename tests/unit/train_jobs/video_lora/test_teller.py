from __future__ import annotations

from tests.unit.train_jobs.video_lora.story import Story
from thornback.jobs.video_stages import IN_ORDER, StageClock, Took, VideoStage
from train_jobs.video_lora.teller import SILENCE_S, Teller


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make(**history: Took) -> tuple[Teller, Story, Clock]:
    story, clock = Story(), Clock()
    return Teller(story, StageClock({stage: [took] for stage, took in history.items()}), clock), story, clock


def test_all_marks_are_passed_in_order() -> None:
    teller, story, _ = make()
    for stage in IN_ORDER:
        teller.enter(stage)
        for part in range(11):
            teller.at(part / 10)
    assert story.percents == sorted(story.percents)
    assert {0, 10, 20, 35, 50, 60, 85, 95, 100} <= set(story.percents)
    assert story.stages == [stage.value for stage in IN_ORDER]


def test_it_never_goes_back() -> None:
    teller, story, clock = make()
    teller.enter(VideoStage.TRAIN)
    teller.at(0.8)
    clock.now += 2 * SILENCE_S
    teller.at(0.1)  # the training was started anew
    assert story.percents == [60.0, 80.0, 80.0]


def test_small_moves_are_told_together_and_silence_ends() -> None:
    teller, story, clock = make()
    teller.enter(VideoStage.SCENES)
    for step in range(1, 1001):
        teller.at(step / 1000)
    assert 40 <= len(story.percents) <= 52  # ten percent in steps of 0.2
    count = len(story.percents)
    clock.now += SILENCE_S
    teller.at(1.0)
    assert len(story.percents) == count + 1


def test_the_time_left_is_told() -> None:
    teller, story, _ = make(COLLECT=Took(4.0, 1.0), PUBLISH=Took(6.0, 1.0))
    teller.enter(VideoStage.TRAIN)
    teller.at(0.5, told_s=30.0)
    assert story.etas[-1] == 40.0


def test_the_same_words_are_no_news() -> None:
    teller, story, _ = make()
    teller.say("training: in the queue")
    teller.say("training: in the queue")
    teller.say("training: sampling")
    assert story.stages == ["training: in the queue", "training: sampling"]
