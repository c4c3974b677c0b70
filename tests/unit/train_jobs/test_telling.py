"""What a run prints, what it tracks beside the platform, and how it reckons its pace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.fixtures.s3 import S3Server
from tests.unit.train_jobs.helpers import Story
from thornback.artifacts.files import locate
from train_jobs.common.console import ConsoleReporter
from train_jobs.common.tracking import Sink, TensorBoardSink, TrackingReporter
from train_jobs.convnext.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rest_is_reckoned_from_what_was_measured() -> None:
    clock = Clock()
    pace = Pace(clock, position=2.0, seconds_before=50.0, epochs=10)
    assert pace.eta_seconds(2.0) is None
    clock.now += 30
    # 1.5 epochs took 30 s, so the other 6.5 take 130 s
    assert pace.eta_seconds(3.5) == pytest.approx(130.0)
    assert pace.seconds == 80.0


def test_images_per_second_are_those_of_the_last_stretch() -> None:
    clock = Clock()
    pace = Pace(clock, position=0.0, seconds_before=0.0, epochs=1)
    assert pace.images_per_second(100) == 0.0
    clock.now += 2
    assert pace.images_per_second(300) == 100.0
    clock.now += 60  # a validation without training steps
    assert pace.images_per_second(300) == 100.0
    clock.now += 1
    assert pace.images_per_second(350) == 50.0


def test_epochs_are_printed_and_steps_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story()
    reporter = ConsoleReporter(story, is_captured=False)
    reporter.progress(percent=10.0, epoch=1, total_epochs=9, eta_seconds=None)
    reporter.metrics(epoch=1, phase="train", values={"train_loss": 3.0}, batch=5)
    reporter.metrics(epoch=1, phase="val", values={"train_loss": 1.5, "val_loss": 1.25, "val_accuracy": 0.5})
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["epoch 1/9  train_loss 1.5000  val_loss 1.2500  val_accuracy 50.0%"]
    assert story.lines == printed  # once in the job's log as well
    assert len(story.rows) == 2


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


EXPECTED = {"step/train_loss": [(4, 2.0), (14, 1.0)], "epoch/val_loss": [(2, 0.5)]}


def tell(reporter: TrackingReporter) -> None:
    reporter.metrics(epoch=1, phase="train", values={"train_loss": 2.0}, batch=4)
    reporter.metrics(epoch=2, phase="train", values={"train_loss": 1.0}, batch=4)
    reporter.metrics(epoch=2, phase="val", values={"val_loss": 0.5})
    assert reporter.close(timeout_s=30)


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    tell(TrackingReporter(Story(), [TensorBoardSink(str(tmp_path / "tb"))], steps_per_epoch=10))
    assert read_scalars(tmp_path / "tb") == EXPECTED


def test_tensorboard_on_s3(tmp_path: Path, s3: S3Server) -> None:
    uri = s3.uri(s3.make_bucket(), "run/tensorboard")
    tell(TrackingReporter(Story(), [TensorBoardSink(uri)], steps_per_epoch=10))
    for entry in locate(uri).files():
        (tmp_path / entry.path).write_bytes((locate(uri) / entry.path).read_bytes())
    assert read_scalars(tmp_path) == EXPECTED


def test_a_broken_sink_does_not_hurt_the_others(tmp_path: Path) -> None:
    class Broken:
        def write(self, step: int, prefix: str, values: Mapping[str, float], at: float) -> None:
            raise ConnectionError("no server")

        def close(self) -> None:
            raise ConnectionError("no server")

    sinks: list[Sink] = [Broken(), TensorBoardSink(str(tmp_path))]
    tell(TrackingReporter(Story(), sinks, steps_per_epoch=10))
    assert read_scalars(tmp_path) == EXPECTED
