"""What a training will take, by those that ended: the same model, and of these the most alike."""

from __future__ import annotations

import pytest

from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.own_lora import LoraConfig
from thornback.jobs.pace import PastRun, expected


def convnext(**values: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"model_architecture": "convnext_atto", "warmup_epochs": 0, **values})


def lora(**values: object) -> LoraConfig:
    return LoraConfig.model_validate({"base_model": "m", "dataset": "d", **values})


def past(config: TrainingConfig | LoraConfig, seconds: float, *, epochs: int = 0) -> PastRun:
    return PastRun(config=config.model_dump(mode="json"), epochs=epochs, seconds=seconds)


def test_the_middle_of_what_an_epoch_took() -> None:
    history = [past(convnext(epochs=10), seconds, epochs=10) for seconds in (100.0, 120.0, 900.0)]
    found = expected(convnext(epochs=25), history)
    assert found is not None
    assert (found.seconds, found.units, found.unit, found.runs) == (300.0, 25, "epochs", 3)  # 12 s an epoch
    assert found.differs == []


def test_one_that_stopped_early_counts_with_the_epochs_that_it_came_to() -> None:
    found = expected(convnext(epochs=10), [past(convnext(epochs=100), 60.0, epochs=20)])
    assert found is not None
    assert found.seconds == 30.0


def test_the_most_alike_decide_and_what_differs_is_told() -> None:
    other_data = past(convnext(epochs=1, data="x", batch_size=64), 1000.0, epochs=1)
    other_batch = past(convnext(epochs=1, batch_size=64), 50.0, epochs=1)
    found = expected(convnext(epochs=2), [other_data, other_batch])
    assert found is not None
    assert (found.seconds, found.runs, found.differs) == (100.0, 1, ["batch_size"])


@pytest.mark.parametrize(
    "run",
    [
        past(convnext(epochs=1, model_architecture="convnext_large"), 10.0, epochs=1),
        past(convnext(epochs=1), 0.0, epochs=1),
    ],
)
def test_what_says_nothing(run: PastRun) -> None:
    assert expected(convnext(), [run]) is None
    assert expected(convnext(), []) is None


def test_steps_and_epochs_are_not_mixed() -> None:
    by_steps, by_epochs = past(lora(steps=100), 200.0), past(lora(epochs=4), 200.0, epochs=4)
    for wanted, seconds in ((lora(steps=50), 100.0), (lora(epochs=2), 100.0), (lora(), 2000.0)):  # 1000 by default
        found = expected(wanted, [by_steps, by_epochs])
        assert found is not None
        assert (found.seconds, found.runs) == (seconds, 1)


def test_what_was_valid_once_is_still_read() -> None:
    run = PastRun(config={"model_architecture": "convnext_atto", "epochs": 5000, "old": 1}, epochs=5000, seconds=5000.0)
    found = expected(convnext(epochs=3), [run])
    assert found is not None
    assert found.seconds == 3.0
