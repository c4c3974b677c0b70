"""The loop learns, goes on bit by bit wherever it was stopped, and stops when it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fixtures.tiny_models import BUILDERS
from tests.unit.train_jobs.lora.bench_of_one import EXAMPLES, config_of, run, shot
from train_jobs.lora.examples import Examples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


# Everything that has a memory: moving average, momentum, accumulation, dropout, a schedule, a validation.
EVERYTHING = {
    "steps": 7,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "ema_decay": 0.9,
    "dropout": 0.1,
    "lr_scheduler": "cosine",
    "warmup_steps": 2,
    "caption_dropout": 0.3,
    "flip": True,
    "validate_every": 2,
    "log_every_steps": 3,
    "learning_rate": 0.01,
}


@pytest.mark.parametrize("name", ["flux1", "sd15"])
def test_a_run_that_is_stopped_twice_is_the_run_that_was_not(name: str, folder: Path) -> None:
    config = config_of(**EVERYTHING)
    _, whole, rows, outcome = run(folder, name, config)
    assert outcome.is_finished
    first_part = run(folder, name, config, stop_at=3)
    second_part = run(folder, name, config, start=first_part[1].saved["step-00000003"], stop_at=4)
    last_part = run(folder, name, config, start=second_part[1].saved["step-00000004"])
    assert not first_part[3].is_finished
    assert last_part[3].is_finished

    one, other = whole.saved["step-00000007"], last_part[1].saved["step-00000007"]
    for kind in ("weights", "averaged", "best"):
        mine, theirs = getattr(one, kind), getattr(other, kind)
        assert mine.keys() == theirs.keys()
        assert mine
        assert all(torch.equal(mine[key], theirs[key]) for key in mine), kind
    told = first_part[2].rows + second_part[2].rows + last_part[2].rows
    assert sorted(told, key=str) == sorted(rows.rows, key=str)
    assert {phase for phase, _, _ in told} == {"train", "val"}


# How far the loss falls at least. The base is random and frozen, so a U-Net's LoRA reaches little of it.
FALLS_TO = {"flux1": 0.8, "sd3": 0.8, "chroma": 0.8, "qwen-image": 0.8, "z-image": 0.8, "flux2-klein": 0.92}


@pytest.mark.parametrize(
    "name",
    [
        "flux1",
        "sd15",
        *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(BUILDERS) if name not in ("flux1", "sd15")),
    ],
)
def test_every_family_learns_one_image(name: str, folder: Path) -> None:
    """The image that is trained on is also held out: its loss at fixed noise and times falls."""
    one = Examples(train=[shot(1)], val=[shot(1)], sha256="0" * 64)
    config = config_of(steps=40, learning_rate=0.03, validate_every=20, rank=8, caption_dropout=0.0, batch_size=4)
    before = run(folder, name, config_of(steps=1, learning_rate=1e-9), examples=one)[2]
    after = run(folder, name, config, examples=one)[2]
    first, *_, last = [
        values["val_loss"] for rows in (before, after) for phase, _, values in rows.rows if phase == "val"
    ]
    assert last < FALLS_TO.get(name, 0.95) * first


def test_early_stopping_keeps_the_best(folder: Path) -> None:
    config = config_of(
        steps=40, learning_rate=3.0, gradient_clip_norm=0, validate_every=1, early_stop_patience=3, validation_split=0.2
    )
    training, _, _, outcome = run(folder, "sd15", config)
    assert outcome.stopped_early
    assert outcome.step < 40
    assert outcome.best_step == outcome.step - 3
    assert outcome.weights == training.best


def test_epochs_instead_of_steps(folder: Path) -> None:
    """Five images in batches of two fill three batches; two epochs are six steps."""
    _, _, rows, outcome = run(folder, "sd15", config_of(epochs=2, batch_size=2), examples=EXAMPLES)
    assert (outcome.step, outcome.epochs) == (6, 2)
    assert [batch for phase, batch, _ in rows.rows if phase == "train"] == [1, 2, 3, 4, 5, 6]
