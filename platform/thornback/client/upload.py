"""Sending a file as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from thornback.client.models import Dataset

DATASETS = "/api/v1/datasets"
CHUNK_BYTES = 1 << 20
ANSWER_S = 600.0  # the server reads every picture before it answers


def send_dataset(call: Callable[..., Any], path: Path) -> Dataset:
    """Send a ZIP of pictures. See `Client.send_dataset`."""
    headers = {"Content-Type": "application/zip", "Content-Length": str(path.stat().st_size)}
    return Dataset.model_validate(call("POST", DATASETS, content=_pieces(path), headers=headers, timeout=ANSWER_S))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece
