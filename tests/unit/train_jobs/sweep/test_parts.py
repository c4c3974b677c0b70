"""What a sweep's driver is made of, part by part."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, PopulationBasedTraining

from thornback.jobs.space import Choice, Integer, Space, Uniform
from thornback.jobs.state import Fact, JobState, Mark
from thornback.jobs.status import JobStatus
from thornback.jobs.sweep import FACT_RESULT, FACT_TRIAL, SweepConfig
from train_jobs.sweep.children import Best
from train_jobs.sweep.ending import Enough
from train_jobs.sweep.reasons import why_stopped
from train_jobs.sweep.searchers import LEFT_OUT, REACHED, Suggest, Within, open_scheduler, parameters_of
from train_jobs.sweep.slots import Slots
from train_jobs.sweep.tally import percent, seconds_left, tally

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def trial(number: int, value: float | None, final: JobStatus | None = JobStatus.COMPLETED) -> JobState:
    facts: dict[str, Any] = {FACT_TRIAL: {"number": number, "parameters": {"config.seed": number}}}
    if value is not None:
        facts[FACT_RESULT] = {"value": value}
    told = {name: Fact(mark=Mark(), at=NOW, value=fact) for name, fact in facts.items()}
    return JobState(id=f"job-{number}", final=final, facts=told)


def config(**values: Any) -> SweepConfig:
    space = {"config.seed": {"type": "integer", "low": 0, "high": 9}}
    return SweepConfig.model_validate({"trial": {}, "space": space, **values})


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 3)])
def test_the_best_trial_is_told_by_mode_and_failed_ones_count_as_ended(mode: str, best: int) -> None:
    jobs = [trial(1, 0.5), trial(2, 0.2, JobStatus.CANCELLED), trial(3, 0.9), trial(4, None, JobStatus.FAILED)]
    done = tally([*jobs, trial(5, None, None)], planned=8, refused=1, mode=mode)
    assert (done.made, done.running, done.completed, done.stopped, done.failed) == (6, 1, 2, 1, 2)
    told = done.facts("the budget is spent")
    assert (told["best_trial"], told["best_job"]) == (best, f"job-{best}")
    assert told["best_parameters"] == {"config.seed": best}
    # 5 of 8 are over, and half of a sixth: 5.5 / 8
    assert percent(done, {"a": 50.0}) == pytest.approx(68.75)
    assert percent(replace(done, completed=8), {"a": 50.0}) == 100.0


def test_time_left_goes_by_the_pace_and_never_past_the_hours() -> None:
    assert seconds_left(0.0, 10.0, 100.0) is None
    assert seconds_left(0.25, 60.0, None) == pytest.approx(180.0)  # a quarter in a minute leaves three
    assert seconds_left(0.25, 60.0, 100.0) == 100.0


def test_asha_tells_the_rung_that_a_trial_did_not_pass() -> None:
    scheduler = open_scheduler(config(scheduler={"type": "asha", "reduction": 2}), longest=8)
    assert isinstance(scheduler, AsyncHyperBandScheduler)
    actions = []
    for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.4)):
        runs: Any = SimpleNamespace(trial_id=name)
        controller: Any = None
        scheduler.on_trial_add(controller, runs)
        actions.append(scheduler.on_trial_result(controller, runs, {REACHED: 1, "val_loss": value}))
    assert actions == ["CONTINUE", "STOP", "STOP", "STOP"]
    words = why_stopped(scheduler, "d", {REACHED: 1, "val_loss": 0.4}, metric="val_loss", mode="min", unit="epoch")
    # of four at epoch 1 the better half goes on: 0.1 and 0.2
    assert words == "stopped by asha at epoch 1: val_loss 0.4 is not among the best 1 in 2 of 4 trials (0.2)"


def test_schedulers_are_those_that_were_asked_for() -> None:
    assert isinstance(open_scheduler(config(), longest=3), FIFOScheduler)
    pbt = open_scheduler(config(scheduler={"type": "pbt"}), longest=3)
    assert isinstance(pbt, PopulationBasedTraining)
    hyperband = open_scheduler(config(search="bohb"), longest=2)
    assert isinstance(hyperband, AsyncHyperBandScheduler)
    assert len(hyperband._brackets) == 1  # two epochs have one rung
    assert all(bracket._rungs for bracket in open_scheduler(config(search="bohb"), longest=100)._brackets)  # type: ignore[attr-defined]


def test_what_pbt_changes_stays_in_its_range() -> None:
    space: Space = {
        "a": Uniform(type="uniform", low=0.0, high=1.0),
        "b": Integer(type="integer", low=1, high=8),
        "c": Choice(type="choice", values=["x"]),
    }
    assert Within(space)({"a": 1.2, "b": 6.4, "c": "x"}) == {"a": 1.0, "b": 6, "c": "x"}


def test_a_field_whose_condition_does_not_hold_is_left_out() -> None:
    space = {"a": Choice(type="choice", values=[1, 2]), "b": Choice(type="choice", values=[3], when={"a": [2]})}
    assert parameters_of({"a": 1, "b": LEFT_OUT, "other": 5}, space) == {"a": 1}
    asked: list[str] = []

    def pick(name: str, values: list[Any]) -> Any:
        asked.append(name)
        return values[0]

    picks: Any = SimpleNamespace(suggest_categorical=pick)
    Suggest(space)(picks)
    assert asked == ["a"]


def test_the_first_reason_to_end_stays() -> None:
    enough = Enough(hours=2.0, started_at=NOW)
    enough.look(NOW + timedelta(hours=1.99))
    assert not enough.stop_all()
    enough.refuse_more("the budget is spent")
    assert (enough.stop_all(), enough.told) == (False, "the budget is spent")
    enough.look(NOW + timedelta(hours=2))
    assert (enough.stop_all(), enough.told) == (True, "the sweep's 2 hours are over")


def test_a_place_is_free_when_its_job_has_ended() -> None:
    slots = Slots(1)
    assert slots.take("a", lambda: False)
    assert slots.take("a", lambda: False)  # it has one
    assert not slots.take("b", lambda: True)
    taken: list[bool] = []
    waiting = threading.Thread(target=lambda: taken.append(slots.take("b", lambda: False)))
    waiting.start()
    slots.free("a")
    waiting.join(30)
    assert taken == [True]


def test_the_best_value_is_kept_with_its_epoch() -> None:
    best = Best()
    for at, value in ((1, 0.5), (2, 0.3), (3, 0.4)):
        best.see(at, value, "min")
    assert (best.value, best.best_at, best.last, best.reached) == (0.3, 2, 0.4, 3)
