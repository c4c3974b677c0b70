"""A run that was killed and taken up again is the run that was not: the same weights and rows to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.train_jobs.helpers import FolderCheckpoints, Killed, Story, make_training, run, small_config
from thornback.jobs.convnext import TrainingConfig
from train_jobs.convnext.checkpoint import read_snapshot
from train_jobs.convnext.learner import Learner
from train_jobs.convnext.loop import Outcome, Training

# Everything that draws random numbers, and a checkpoint in the middle of each epoch of 5 steps.
EVERYTHING: dict[str, Any] = {
    "spec_augment": True,
    "mixup_alpha": 0.4,
    "dropout_rate": 0.3,
    "class_weights": True,
    "label_smoothing": 0.1,
    "checkpoint_every_steps": 2,
}


def same_bits(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def kill_at(training: Training, step: int, *, before_save: bool = False) -> None:
    """Let the process die when it would begin this step of the run, or write the first checkpoint after it."""
    if before_save:
        save = training.checkpoints.save

        def dying_save(*args: Any, **kwargs: Any) -> None:
            if training.state.step >= step:
                raise Killed
            save(*args, **kwargs)

        training.checkpoints.save = dying_save  # type: ignore[method-assign]
        return
    learner, learn = training.learner, training.learner.step

    def dying_step(*args: Any, **kwargs: Any) -> Tensor:
        if kwargs["step"] >= step:
            raise Killed
        return learn(*args, **kwargs)

    learner.step = dying_step  # type: ignore[method-assign]


def run_killed(
    config: TrainingConfig, folder: Path, story: Story, kills: list[tuple[int, bool]]
) -> tuple[Training, Outcome]:
    """Die at each of these steps, then run to the end."""
    for step, before_save in kills:
        training = make_training(config, folder, story=story)
        kill_at(training, step, before_save=before_save)
        with pytest.raises(Killed):
            training.run()
    return run(config, folder, story)


@pytest.fixture(scope="module")
def whole(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingConfig, Training, Story, Outcome]:
    """The run that nobody killed: 18 clips to train on, 5 steps in each of 3 epochs."""
    config = small_config(tones, **EVERYTHING)
    story = Story()
    training, outcome = run(config, tmp_path_factory.mktemp("whole"), story)
    return config, training, story, outcome


@pytest.mark.parametrize("step", range(1, 16))
@pytest.mark.parametrize("before_save", [False, True])
def test_killed_anywhere(
    whole: tuple[TrainingConfig, Training, Story, Outcome], tmp_path: Path, step: int, before_save: bool
) -> None:
    config, expected, told, outcome = whole
    story = Story()
    resumed, result = run_killed(config, tmp_path, story, [(step, before_save)])
    assert same_bits(resumed.learner.weights(), expected.learner.weights())
    assert resumed.best is not None
    assert expected.best is not None
    assert same_bits(dict(resumed.best), dict(expected.best))
    assert story.rows == told.rows
    assert result.best == outcome.best


@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again(
    whole: tuple[TrainingConfig, Training, Story, Outcome], tmp_path: Path, seed: int
) -> None:
    config, expected, told, _ = whole
    rng = np.random.default_rng(seed)
    steps = sorted(int(step) for step in rng.choice(np.arange(1, 16), size=4, replace=False))
    story = Story()
    kills = [(step, bool(rng.random() < 0.5)) for step in steps]
    resumed, _ = run_killed(config, tmp_path, story, kills)
    assert same_bits(resumed.learner.weights(), expected.learner.weights())
    assert story.rows == told.rows


@pytest.mark.parametrize("step", [1, 3, 4, 5, 9, 15])
def test_stopped_on_request_and_taken_up(
    whole: tuple[TrainingConfig, Training, Story, Outcome], tmp_path: Path, step: int
) -> None:
    config, expected, told, _ = whole
    story = Story()
    training = make_training(config, tmp_path, story=story)
    training.stop = lambda: training.state.step >= step
    stopped = training.run()
    assert not stopped.is_finished
    assert training.state.step == step
    assert (tmp_path / f"step-{step:08d}" / "state.json").exists()
    resumed, outcome = run(config, tmp_path, story)
    assert outcome.is_finished
    assert same_bits(resumed.learner.weights(), expected.learner.weights())
    assert story.rows == told.rows


@pytest.mark.parametrize(
    "changes",
    [
        {"lr_scheduler": "plateau", "epochs": 8, "learning_rate": 0.02},
        {"lr_scheduler": "step", "epochs": 6},
        {"early_stop_patience": 2, "epochs": 12, "learning_rate": 0.05},
        {"validation_split": 0.0},
        {"freeze_backbone": True},
    ],
    ids=["plateau", "step", "early stop", "nothing held out", "frozen"],
)
def test_what_was_decided_before_is_remembered(tones: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    config = small_config(tones, **changes)
    told, story = Story(), Story()
    expected, outcome = run(config, tmp_path / "whole", told)
    steps = expected.state.step
    kills = [(steps // 3, False), (2 * steps // 3, True), (steps, False)]
    resumed, result = run_killed(config, tmp_path / "killed", story, kills)
    assert same_bits(resumed.learner.weights(), expected.learner.weights())
    assert story.rows == told.rows
    assert (result.epochs, result.best) == (outcome.epochs, outcome.best)


def test_a_finished_run_is_not_trained_again(tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(tones, epochs=1)
    _, first = run(config, tmp_path)

    def fail(*args: Any, **kwargs: Any) -> Tensor:
        raise AssertionError("a finished run took another step")

    monkeypatch.setattr(Learner, "step", fail)
    _, again = run(config, tmp_path)
    assert (again.is_finished, again.best, again.images) == (True, first.best, first.images)


def test_the_best_weights_lie_in_every_later_checkpoint(tones: Path, tmp_path: Path) -> None:
    config = small_config(tones, epochs=4, learning_rate=0.01)
    training, outcome = run(config, tmp_path)
    assert outcome.best is not None
    from thornback.artifacts.files import locate

    of_best_epoch = read_snapshot(locate(str(tmp_path / f"epoch-{outcome.best.epoch:04d}")))
    last = read_snapshot(locate(str(tmp_path / "epoch-0004")))
    assert last.best is not None
    assert same_bits(dict(last.best), dict(of_best_epoch.weights))
    assert isinstance(training.checkpoints, FolderCheckpoints)
    scores = {name: score for name, score in training.checkpoints.scores if name.startswith("epoch")}
    assert min(scores, key=lambda name: scores[name]) == f"epoch-{outcome.best.epoch:04d}"
