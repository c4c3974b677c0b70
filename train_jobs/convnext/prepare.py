"""The data as it is before workers start. Takes no GPU."""

from __future__ import annotations

from pathlib import Path

from thornback.artifacts.files import locate
from thornback.datasets import AudioDataset, open_dataset
from thornback.datasets.index import read_index, write_index
from thornback.jobs.convnext import TrainingConfig
from thornback.net.s3 import check_s3, is_s3
from thornback.settings import Settings
from train_jobs.convnext.plan import RunFolder


def prepare_dataset(config: TrainingConfig, folder: RunFolder, settings: Settings) -> AudioDataset:
    """Check the dataset and write down what it is; a later attempt reads that instead of looking again.

    Raises:
        DataError: see open_dataset.
        AddressRefused: a manifest names a bucket that users may not.
    """
    index = locate(folder.index)
    if index.exists():
        return read_index(index.read_bytes())
    path = config.data or settings.dataset
    if path and "://" not in path:
        path = str(Path(path).expanduser().absolute())  # workers start in other folders

    def check(address: str) -> None:
        if is_s3(address) and config.data is not None:  # what the operator chose is the operator's
            check_s3(address, settings)

    dataset = open_dataset(path, config, check=check)
    index.write_bytes(write_index(dataset))
    return dataset
