"""What a checkpoint consists of and how it is written and read.

A folder: the LoRA's weights, their moving average, the best ones, the optimizer, and state.json, which is
written last and names the size of each other file: where it is there and the sizes agree, the checkpoint
is whole. Nothing is unpickled but tensors.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from thornback.artifacts.files import Location
from thornback.errors import DataError
from train_jobs.lora.state import RunState

OPTIMIZER = "optimizer.pt"
STATE = "state.json"

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a run needs to go on."""

    state: RunState
    weights: Weights
    averaged: Weights = field(default_factory=dict)
    best: Weights = field(default_factory=dict)
    optimizer: Mapping[str, Any]


class Checkpoints(Protocol):
    """Where a run keeps its checkpoints. All workers call each method; only rank 0 has a snapshot."""

    def load(self) -> Snapshot | None:
        """The newest one, or the one to start from; None at the very beginning."""
        ...

    def save(self, name: str, snapshot: Snapshot | None, *, score: float) -> None:
        """Keep it as the last, and as the best where its score is the lowest."""
        ...


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write the files of a checkpoint into an empty folder."""
    for name in ("weights", "averaged", "best"):
        tensors: Weights = getattr(snapshot, name)
        if tensors:
            plain = {key: tensor.detach().to("cpu").contiguous() for key, tensor in tensors.items()}
            save_file(plain, folder / f"{name}.safetensors")
    torch.save(dict(snapshot.optimizer), folder / OPTIMIZER)
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    (folder / STATE).write_text(json.dumps({"files": sizes, "state": snapshot.state.as_dict()}))


def read_snapshot(place: Location) -> Snapshot:
    """Read a checkpoint from wherever it lies; tensors come to the CPU.

    Raises:
        DataError: it is not there, or not whole.
    """
    if not is_whole(place):
        raise DataError.field("resume_from", f"there is no whole checkpoint at {place.path}")
    described = json.loads((place / STATE).read_bytes())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in described["files"]:
            (folder / name).write_bytes((place / name).read_bytes())
        return Snapshot(
            state=RunState.from_dict(described["state"]),
            weights=_tensors(folder, "weights"),
            averaged=_tensors(folder, "averaged"),
            best=_tensors(folder, "best"),
            optimizer=torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True),
        )


def is_whole(place: Location) -> bool:
    """True where every file is there with its size."""
    if not (place / STATE).exists():
        return False
    sizes = {entry.path: entry.size_bytes for entry in place.files()}
    try:
        wanted = json.loads((place / STATE).read_bytes())["files"]
    except (ValueError, KeyError):  # cut off while it was written
        return False
    return all(sizes.get(name) == size for name, size in wanted.items())


def upload_snapshot(folder: Path, place: Location) -> int:
    """Copy a written checkpoint to its place, state.json last; returns its size in bytes."""
    files = sorted(folder.iterdir(), key=lambda file: file.name == STATE)
    for file in files:
        (place / file.name).upload(file)
    return sum(file.stat().st_size for file in files)


def _tensors(folder: Path, name: str) -> dict[str, Tensor]:
    file = folder / f"{name}.safetensors"
    return load_file(file) if file.exists() else {}
