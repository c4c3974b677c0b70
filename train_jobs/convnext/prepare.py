"""Everything that is settled before workers start: the data, the weights, where to log. Takes no GPU."""

from __future__ import annotations

from pathlib import Path

from thornback.artifacts.files import locate
from thornback.datasets import AudioDataset, open_dataset
from thornback.datasets.index import read_index, write_index
from thornback.jobs.convnext import TrainingConfig
from thornback.settings import Settings
from train_jobs.convnext.plan import MlflowTarget, RunFolder


def prepare_dataset(config: TrainingConfig, folder: RunFolder, default: str | None) -> AudioDataset:
    """Check the dataset and write down what it is; a later attempt reads that instead of looking again.

    Raises:
        DataError: see open_dataset.
    """
    index = locate(folder.index)
    if index.exists():
        return read_index(index.read_bytes())
    path = config.data or default
    if path and "://" not in path:
        path = str(Path(path).expanduser().absolute())  # workers start in other folders
    dataset = open_dataset(path, config)
    index.write_bytes(write_index(dataset))
    return dataset


def prepare_mlflow(settings: Settings, config: TrainingConfig, folder: RunFolder, name: str) -> MlflowTarget | None:
    """An MLflow run for this job, the same one for each attempt; None where no server is set.

    Raises:
        whatever MLflow raises where its server cannot be used: it was asked for, so its lack ends the run.
    """
    if settings.mlflow_tracking_uri is None:
        return None
    from mlflow.tracking import MlflowClient  # an extra, and a second to import

    note = locate(folder.artifact("mlflow_run_id"))
    if note.exists():
        return MlflowTarget(tracking_uri=settings.mlflow_tracking_uri, run_id=note.read_bytes().decode())
    client = MlflowClient(tracking_uri=settings.mlflow_tracking_uri)
    experiment = config.mlflow_experiment or "thornback"
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known else client.create_experiment(experiment)
    run_id: str = client.create_run(experiment_id, run_name=name).info.run_id
    for key, value in config.model_dump(mode="json").items():
        client.log_param(run_id, key, value)
    note.write_bytes(run_id.encode())
    return MlflowTarget(tracking_uri=settings.mlflow_tracking_uri, run_id=run_id)
