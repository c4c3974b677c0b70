"""A sweep's specification: what is refused names its field, and what is taken gives trials."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.unit.jobs.histories import BEGIN, JOB_ID
from thornback.errors import InvalidInput
from thornback.jobs.events import EventFactory
from thornback.jobs.reduce import reduce_all
from thornback.jobs.space import with_parameters
from thornback.jobs.spec import ConvNextSpec, SweepSpec, parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.sweep import Asha
from thornback.jobs.trials import draw
from thornback.store.state_codec import decode_state, encode_state

LR = {"config.learning_rate": {"type": "loguniform", "low": 1e-4, "high": 1e-1}}
LORA = {"kind": "lora", "config": {"dataset": "https://files.test/a.zip", "trigger_word": "TOK"}}


def sweep(*, backend: str = "ray", **config: Any) -> SweepSpec:
    body = {"kind": "sweep", "backend": backend, "job_name": "try", "tags": {"team": "birds"}}
    whole = {"trial": {"config": {"epochs": 3}}, "space": LR, **config}
    spec = parse_spec({**body, "config": whole})
    assert isinstance(spec, SweepSpec)
    return spec


def choice(*values: Any, **more: Any) -> dict[str, Any]:
    return {"type": "choice", "values": list(values), **more}


def uniform(low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": "uniform", "low": low, "high": high, **more}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"space": {"config.lerning_rate": uniform(0, 1)}}, "config.space.config.lerning_rate", "config.learning_rate?"),
    ({"space": {"config.dropout_rate": uniform(0, 2)}}, "config.space.config.dropout_rate", "2.0: Input should be"),
    ({"space": {"config.dropout_rate": uniform(1, 0.2)}}, "config.space.config.dropout_rate.uniform", "less than high"),
    ({"space": {"config.lr_scheduler": choice("cosine", "x")}}, "config.space.config.lr_scheduler", "'x': "),
    ({"space": {"config.x.y": choice(1)}}, "config.space.config.x.y", "there is no such field"),
    ({"space": {"job_name": choice("a")}}, "config.space.job_name", "leave it out"),
    ({"space": {**LR, "config.epochs": choice(1, when={"x": [1]})}}, "config.space.config.epochs", "is not searched"),
    ({"search": "grid"}, "config.search", "needs a field of type grid"),
    ({"space": {"config.epochs": {"type": "grid", "values": [1]}}}, "config.space.config.epochs", "needs search grid"),
    ({"trial": {"kind": "image_set"}}, "config.trial.kind", "measures nothing"),
    ({"trial": {"config": {"epochs": 0}}}, "config.trial.config.epochs", "greater than or equal to 1"),
    ({"backend": "fal"}, "config.trial.backend", "cannot run kind convnext"),
    ({"scheduler": {"type": "pbt"}, "search": "optuna"}, "config.search", "pbt draws its own values"),
    ({"scheduler": {"type": "pbt"}, "at_once": 2}, "config.at_once", "leave it out"),
    ({"search": "bohb", "scheduler": {"type": "fifo"}}, "config.scheduler", "HyperBand"),
    ({"metric": "val_los"}, "config.metric", "val_loss"),
]


@pytest.mark.parametrize(("config", "field", "words"), WRONG)
def test_what_is_wrong_is_named(config: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        sweep(**config)
    [error] = refused.value.details["errors"]
    assert error["field"] == field
    assert words in error["message"]


def test_every_drawn_trial_is_a_job_of_its_own() -> None:
    space = {
        **LR,
        "config.lr_scheduler": choice("cosine", "step"),
        "config.epochs": {"type": "integer", "low": 4, "high": 9},
        "config.warmup_epochs": {"type": "integer", "low": 1, "high": 3, "when": {"config.lr_scheduler": ["cosine"]}},
    }
    spec = sweep(space=space)
    rng = random.Random(1)
    seen = set()
    for number in range(1, 40):
        parameters = draw(spec.config.space, rng)
        trial = spec.trial(number, parameters)
        assert isinstance(trial, ConvNextSpec)
        assert trial.job_name == f"try (trial {number})"
        assert trial.tags == {"team": "birds"}
        assert trial.config.learning_rate == parameters["config.learning_rate"]
        assert ("config.warmup_epochs" in parameters) == (trial.config.lr_scheduler == "cosine")
        seen.add(trial.config.lr_scheduler)
    assert seen == {"cosine", "step"}


def test_a_trial_may_run_wherever_its_kind_does() -> None:
    spec = sweep(backend="fal", trial=LORA, space={"backend": choice("fal", "replicate")}, metric="train_loss")
    assert [spec.trial(1, {"backend": name}).backend for name in ("fal", "replicate")] == ["fal", "replicate"]
    assert {trial.backend for trial in spec.examples()} == {"fal", "replicate"}


def test_a_grid_is_gone_through_once_or_several_times() -> None:
    space = {"config.batch_size": {"type": "grid", "values": [16, 32, 64]}, **LR}
    assert sweep(search="grid", space=space).config.planned_trials == 3
    assert sweep(search="grid", space=space, budget={"trials": 6}).config.planned_trials == 6
    with pytest.raises(InvalidInput, match="3 points"):
        sweep(search="grid", space=space, budget={"trials": 4})


def test_bohb_has_its_own_scheduler() -> None:
    scheduling = sweep(search="bohb").config.scheduling
    assert isinstance(scheduling, Asha)
    assert scheduling.brackets > 1


def test_a_population_trains_at_once() -> None:
    assert sweep(scheduler={"type": "pbt"}, budget={"trials": 6}).config.concurrency == 6


def test_values_are_put_in_by_dotted_name_and_nothing_else_changes() -> None:
    body: dict[str, Any] = {"config": {"inputs": {"a": 1}, "rank": 4}}
    assert with_parameters(body, {"config.inputs.b": 2, "priority": 3}) == {
        "config": {"inputs": {"a": 1, "b": 2}, "rank": 4},
        "priority": 3,
    }
    assert body == {"config": {"inputs": {"a": 1}, "rank": 4}}


def test_a_trial_that_was_ended_early_says_why() -> None:
    make = EventFactory(JOB_ID)
    state = reduce_all(
        JobState(id=JOB_ID), [make.ended_early(why="stopped by asha at epoch 3", user="sweep", at=BEGIN)]
    )
    assert state.cancel_requested
    assert state.stop_reason is None
    assert decode_state(encode_state(state)).ended_early == "stopped by asha at epoch 3"
