"""The data as it is before workers start. Takes no GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from thornback.artifacts.files import locate
from thornback.datasets import AudioDataset, open_dataset
from thornback.datasets.index import read_index, write_index
from thornback.jobs.convnext import TrainingConfig
from thornback.net.s3 import check_s3, is_s3, with_key, without_key
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
        return stored_dataset(folder)
    path = config.data or settings.dataset
    if path and "://" not in path:
        path = str(Path(path).expanduser().absolute())  # workers start in other folders

    def check(address: str) -> None:
        if is_s3(address) and config.data is not None:  # what the operator chose is the operator's
            check_s3(address, settings)

    with_ours = path if path is None else with_key(path, settings.storage)
    dataset = open_dataset(with_ours, config, check=check)
    if path is not None and with_ours != path:  # the storage's key is neither written down nor told
        dataset = replace(dataset, root=without_key(dataset.root), report=replace(dataset.report, path=path))
    index.write_bytes(write_index(dataset))
    return replace(dataset, root=with_key(dataset.root, settings.storage))


def stored_dataset(folder: RunFolder) -> AudioDataset:
    """What was written down; what lies in the platform's own bucket is read with the key of its storage."""
    dataset = read_index(locate(folder.index).read_bytes())
    return replace(dataset, root=with_key(dataset.root, folder.uri))
