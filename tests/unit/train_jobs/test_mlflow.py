from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.train_jobs.helpers import Story, small_config
from train_jobs.common.tracking import MlflowSink, MlflowTarget, TrackingReporter, prepare_mlflow

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # MLflow's own


def prepare(folder: Path, tracking_uri: str | None) -> MlflowTarget | None:
    return prepare_mlflow(
        tracking_uri,
        experiment="radio",
        parameters=small_config("x").model_dump(mode="json"),
        note_uri=str(folder / "run" / "mlflow_run_id"),
        name="my job",
    )


def test_every_attempt_logs_to_the_same_run(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    target = prepare(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert target is not None
    assert prepare(tmp_path, target.tracking_uri) == target

    reporter = TrackingReporter(Story(), [MlflowSink(target)], steps_per_epoch=10)
    reporter.metrics(epoch=1, phase="train", values={"train_loss": 2.0}, batch=4)
    reporter.metrics(epoch=1, phase="val", values={"val_loss": 0.5})
    assert reporter.close(timeout_s=30)

    client = MlflowClient(tracking_uri=target.tracking_uri)
    run = client.get_run(target.run_id)
    assert run.info.run_name == "my job"
    assert run.data.params["batch_size"] == "4"
    assert run.data.metrics == {"step/train_loss": 2.0, "epoch/val_loss": 0.5}
    assert [point.step for point in client.get_metric_history(target.run_id, "step/train_loss")] == [4]
    experiment = client.get_experiment_by_name("radio")
    assert experiment is not None
    assert run.info.experiment_id == experiment.experiment_id


def test_no_server_no_run(tmp_path: Path) -> None:
    assert prepare(tmp_path, None) is None
