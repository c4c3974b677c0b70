from __future__ import annotations

import pytest

from thornback.jobs.convnext import TrainingConfig
from train_jobs.convnext.schedule import Watch, learning_rate


def config(**changes: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"epochs": 10, "warmup_epochs": 2, "learning_rate": 1.0, **changes})


@pytest.mark.parametrize(
    ("position", "rate"),
    [
        (0.5, 0.25),  # a quarter of the 2 warm-up epochs
        (2.0, 1.0),
        (6.0, 0.5),  # half of the other 8
        (10.0, 0.0),
        (4.0, 0.8535533905932737),  # (1 + cos(pi / 4)) / 2
    ],
)
def test_cosine(position: float, rate: float) -> None:
    assert learning_rate(config(), position, 1.0) == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize(
    ("position", "rate"), [(1.0, 0.5), (2.1, 1.0), (4.6, 1.0), (4.7, 0.1), (7.3, 0.1), (7.4, 0.01), (9.99, 0.01)]
)
def test_step_divides_by_ten_after_each_third(position: float, rate: float) -> None:
    assert learning_rate(config(lr_scheduler="step"), position, 1.0) == pytest.approx(rate)


def test_plateau_halves_after_three_epochs_without_a_better_loss() -> None:
    watch = Watch()
    losses = [1.0, 0.9, 0.91, 0.95, 0.90, 0.92, 0.93, 0.94, 0.5]
    scales = []
    for epoch, loss in enumerate(losses, start=1):
        watch.see(epoch, loss)
        scales.append(watch.plateau_scale)
    assert scales == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert learning_rate(config(lr_scheduler="plateau"), 5.0, watch.plateau_scale) == 0.25
    assert (watch.best_loss, watch.best_epoch) == (0.5, 9)


def test_early_stopping_counts_epochs_without_a_better_loss() -> None:
    watch = Watch()
    over = []
    for epoch, loss in enumerate([1.0, 0.9, 0.95, 0.8, 0.9, 0.85], start=1):
        watch.see(epoch, loss)
        over.append(watch.is_over(config(early_stop_patience=2)))
    assert over == [False, False, False, False, False, True]
    assert not watch.is_over(config(early_stop_patience=0))


def test_a_hairs_breadth_is_no_improvement() -> None:
    watch = Watch()
    assert watch.see(1, 1.0)
    assert not watch.see(2, 0.99995)  # less than 1e-4 of it
    assert watch.see(3, 0.9998)


def test_without_warm_up_the_full_rate_is_there_at_once() -> None:
    assert learning_rate(config(warmup_epochs=0, epochs=1), 1e-9, 1.0) == pytest.approx(1.0)
