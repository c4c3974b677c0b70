"""Datasets: what can be trained on, checked before anything expensive starts. No torch here."""

from thornback.datasets.audio import AudioDataset, check, open_dataset
from thornback.datasets.report import BrokenFile, DatasetReport

__all__ = ["AudioDataset", "BrokenFile", "DatasetReport", "check", "open_dataset"]
