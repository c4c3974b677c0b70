from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.unit.train_jobs.video_lora.story import Story
from thornback.errors import DataError, Unavailable
from thornback.jobs.video_stages import StageClock, Took, VideoStage
from train_jobs.video_lora import patience
from train_jobs.video_lora.journal import Entry, Journal
from train_jobs.video_lora.steps import Done, Steps
from train_jobs.video_lora.teller import Teller
from train_jobs.video_lora.turns import Turns

STORE, TRAIN = VideoStage.STORE, VideoStage.TRAIN


class Flaky(Journal):
    """A storage that is away now and then."""

    def __init__(self, run_uri: str) -> None:
        super().__init__(run_uri)
        self.faults: list[Exception] = []

    def find(self, stage: VideoStage, key: str) -> Entry | None:
        if self.faults:
            raise self.faults.pop()
        return super().find(stage, key)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.story, self.journal = Story(), Flaky(str(folder / "run"))
        self.turns = Turns(folder / "turns", slots=1)
        teller = Teller(self.story, StageClock({}), lambda: 0.0)
        self.steps = Steps(self.journal, teller, self.story, self.turns)
        self.calls = 0

    def works(self, *faults: Exception, seconds: float | None = None) -> Callable[[], Awaitable[Done]]:
        waiting = list(faults)

        async def work() -> Done:
            self.calls += 1
            if waiting:
                raise waiting.pop(0)
            return Done(output={"made": self.calls}, size=4.0, seconds=seconds)

        return work


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "WAITS_S", [0.0] * len(patience.WAITS_S))


async def test_a_finished_stage_is_not_gone_through_again(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    assert await first.steps.take(TRAIN, {"a": 1}, first.works(seconds=8.0)) == {"made": 1}
    later = Rig(tmp_path)
    assert await later.steps.take(TRAIN, {"a": 1}, later.works()) == {"made": 1}
    assert (later.calls, later.steps.took) == (0, {TRAIN: Took(8.0, 4.0)})
    assert await later.steps.take(TRAIN, {"a": 2}, later.works()) == {"made": 1}
    assert later.calls == 1


async def test_an_output_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.steps.take(TRAIN, {}, rig.works())
    await rig.steps.take(TRAIN, {}, rig.works(), holds=lambda output: output["made"] == 1)
    assert rig.calls == 1
    await rig.steps.take(TRAIN, {}, rig.works(), holds=lambda output: False)
    assert rig.calls == 2


async def test_faults_that_pass_are_told_and_tried_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.journal.faults.append(Unavailable("S3 is away"))
    await rig.steps.take(STORE, {}, rig.works(Unavailable("S3 is away")))
    assert rig.calls == 2
    assert rig.story.lines == [
        "fetching the video: S3 is away; again in 0 s",  # the stage that it was in
        "storing the dataset: S3 is away; again in 0 s",
    ]


@pytest.mark.parametrize(("faults", "calls"), [([DataError("no")], 1), ([Unavailable("away")] * 99, 8)])
async def test_what_does_not_pass_ends_it(tmp_path: Path, faults: Sequence[Exception], calls: int) -> None:
    rig = Rig(tmp_path)
    with pytest.raises(type(faults[0])):
        await rig.steps.take(TRAIN, {}, rig.works(*faults))
    assert rig.calls == calls
    assert await rig.steps.known(TRAIN, {}) is None


async def test_a_turn_is_held_through_the_heavy_stages_only(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.steps.take(STORE, {}, rig.works())
    assert rig.turns.busy() == 1
    await rig.steps.take(VideoStage.DATASET, {}, rig.works())
    assert rig.turns.busy() == 1
    await rig.steps.take(TRAIN, {}, rig.works())
    assert rig.turns.busy() == 0


async def test_scenes_and_frames_are_one_pass(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.steps.take(VideoStage.FRAMES, {}, rig.works(seconds=6.0))
    assert rig.steps.took == {VideoStage.SCENES: Took(3.0, 4.0), VideoStage.FRAMES: Took(3.0, 4.0)}
    assert rig.story.stages == ["finding scenes", "choosing frames"]
    assert (rig.story.percents[0], rig.story.percents[-1]) == (10.0, 35.0)
    await rig.steps.close()
