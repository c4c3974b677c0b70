from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests.unit.train_jobs.helpers import HERTZ, Story, make_tones, make_training, run, small_config
from thornback.datasets import open_dataset
from thornback.errors import DataError, TrainingFailed
from thornback.jobs.status import FailureReason


def test_it_learns_and_tells_of_it(tones: Path, tmp_path: Path) -> None:
    story = Story()
    _, outcome = run(small_config(tones, epochs=10, learning_rate=0.01, dropout_rate=0.0), tmp_path, story)
    assert outcome.best is not None
    assert outcome.best.accuracy >= 5 / 6  # chance is a third
    assert sum(map(sum, outcome.best.confusion)) == 6  # 2 of 8 clips of each class are held out
    assert story.stages == ["training", "evaluating"]
    row = story.rows["val", 10, None]
    assert row.keys() >= {"train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "macro_f1"}
    assert row["gradient_norm"] > 0
    assert story.percents == sorted(story.percents)
    assert story.percents[-1] == 100.0
    # 18 clips in batches of 4 are 5 steps; rows after every second and the last, and after the very first
    assert [key[2] for key in story.rows if key[:2] == ("train", 1)] == [1, 2, 4, 5]
    assert [key[2] for key in story.rows if key[:2] == ("train", 2)] == [2, 4, 5]


def test_the_epochs_loss_is_the_mean_over_its_clips(tones: Path, tmp_path: Path) -> None:
    story = Story()
    run(small_config(tones, epochs=1, log_every_steps=1), tmp_path, story)
    losses = [story.rows["train", 1, batch]["train_loss"] for batch in range(1, 6)]
    # four batches of 4 clips and one of 2
    expected = (4 * sum(losses[:4]) + 2 * losses[4]) / 18
    assert story.rows["val", 1, None]["train_loss"] == pytest.approx(expected, rel=1e-12)


def test_early_stopping_ends_the_run(tones: Path, tmp_path: Path) -> None:
    config = small_config(tones, epochs=50, early_stop_patience=2, learning_rate=0.05)
    story = Story()
    training, outcome = run(config, tmp_path, story)
    assert outcome.is_finished
    assert outcome.epochs < 50
    assert outcome.best is not None
    assert outcome.epochs == outcome.best.epoch + 2
    assert any("stopped early" in line for line in story.lines)
    assert training.state.is_finished


def test_a_loss_that_is_not_finite_fails_with_its_place(tones: Path, tmp_path: Path) -> None:
    training = make_training(small_config(tones), tmp_path)
    learn = training.learner.step

    def poisoned(*args: object, **kwargs: object) -> torch.Tensor:
        if kwargs["step"] == 8:
            next(training.learner.backbone.parameters()).data.fill_(float("nan"))
        return learn(*args, **kwargs)  # type: ignore[arg-type]

    training.learner.step = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingFailed, match="not finite in epoch 2, step 3") as caught:
        training.run()
    assert caught.value.details["reason"] == FailureReason.DIVERGED.value
    assert (caught.value.details["epoch"], caught.value.details["step"]) == (2, 3)
    assert not list(tmp_path.glob("epoch-0002"))  # no checkpoint holds a broken network


def test_too_high_a_rate_really_diverges(tones: Path, tmp_path: Path) -> None:
    config = small_config(tones, epochs=8, learning_rate=10.0, gradient_clip_norm=0.0, warmup_epochs=0)
    training = make_training(config, tmp_path)
    with torch.no_grad():
        for parameter in training.learner.backbone.parameters():
            parameter.mul_(1e30)
    with pytest.raises(TrainingFailed, match="diverged"):
        training.run()


def test_files_that_break_while_training_are_named(tmp_path: Path) -> None:
    data = make_tones(tmp_path / "data")
    config = small_config(data, epochs=1, max_broken_share=0.05)
    story = Story()
    dataset = open_dataset(config.data, config)
    (data / dataset.train[0].path).write_bytes(b"gone bad")
    make_training(config, tmp_path / "one", story=story, dataset=dataset).run()  # 1 of 24 is 4.2 %
    assert story.facts["broken_while_training"] == 1
    assert story.facts["broken_files"][0]["path"] == dataset.train[0].path
    (data / dataset.val[0].path).write_bytes(b"gone bad")
    with pytest.raises(DataError, match=r"2 of 24 clips \(8.3%\) cannot be decoded and 5.0% are allowed"):
        make_training(config, tmp_path / "two", dataset=dataset).run()


def test_a_test_split_is_judged_with_the_best_weights(tmp_path: Path) -> None:
    make_tones(tmp_path / "data")
    lines = ["path,label,split"]
    for label in HERTZ:
        splits = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
        lines += [f"{label}/{index}.wav,{label},{split}" for index, split in enumerate(splits)]
    (tmp_path / "data" / "m.csv").write_text("\n".join(lines) + "\n")
    story = Story()
    config = small_config(tmp_path / "data" / "m.csv", epochs=3)
    training, outcome = run(config, tmp_path / "run", story)
    assert outcome.test is not None
    assert outcome.best is not None
    assert sum(map(sum, outcome.test.confusion)) == 6
    row = story.rows["test", outcome.best.epoch, None]
    assert row["test_accuracy"] == outcome.test.accuracy
    weights = training.learner.weights()
    assert training.best is not None
    assert all(torch.equal(weights[name], tensor) for name, tensor in training.best.items())


def test_a_superseded_run_ends_and_writes_nothing(tones: Path, tmp_path: Path) -> None:
    class Superseded(Story):
        @property
        def is_superseded(self) -> bool:
            return True

    outcome = make_training(small_config(tones), tmp_path, story=Superseded()).run()
    assert not outcome.is_finished
    assert list(tmp_path.iterdir()) == []


def test_frozen_means_that_only_the_head_moves(tones: Path, tmp_path: Path) -> None:
    training = make_training(small_config(tones, epochs=1, freeze_backbone=True), tmp_path)
    before = training.learner.weights()
    training.run()
    moved = {name for name, tensor in training.learner.weights().items() if not torch.equal(tensor, before[name])}
    assert moved == {"head.fc.weight", "head.fc.bias"}


def test_class_weights_and_clipping_do_what_they_say(tones: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tones, data)
    for index in range(2, 8):
        (data / "low" / f"{index}.wav").unlink()
    training = make_training(small_config(data, class_weights=True, gradient_clip_norm=0.5), tmp_path / "run")
    weights = training.learner._class_weights
    assert weights is not None
    # 6 high, 1 low, 6 middle to train on: 13 / (3 * count)
    torch.testing.assert_close(weights, torch.tensor([13 / 18, 13 / 3, 13 / 18]))
    norms = []
    clip = training.learner._clip

    def measure() -> torch.Tensor:
        norm = clip()
        gradients = [p.grad for p in training.learner._learning if p.grad is not None]
        norms.append((float(norm), float(torch.nn.utils.get_total_norm(gradients))))
        return norm

    training.learner._clip = measure  # type: ignore[method-assign]
    training.run()
    assert all(after <= 0.5 + 1e-5 for _, after in norms)
    assert any(before > 0.5 for before, _ in norms)
