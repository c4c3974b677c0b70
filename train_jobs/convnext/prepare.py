"""The data as it is before workers start. Takes no GPU."""

from __future__ import annotations

from pathlib import Path

from thornback.artifacts.files import locate
from thornback.datasets import AudioDataset, open_dataset
from thornback.datasets.index import read_index, write_index
from thornback.jobs.convnext import TrainingConfig
from train_jobs.convnext.plan import RunFolder


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
