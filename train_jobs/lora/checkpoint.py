"""What a checkpoint consists of: the LoRA's weights, their moving average, the best ones, the optimizer.

Nothing is unpickled but tensors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from thornback.artifacts.files import Location
from train_jobs.common.snapshots import fetch, seal
from train_jobs.lora.state import RunState

OPTIMIZER = "optimizer.pt"

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
    seal(folder, snapshot.state.as_dict())


def read_snapshot(place: Location) -> Snapshot:
    """Read a checkpoint from wherever it lies; tensors come to the CPU.

    Raises:
        DataError: it is not there, or not whole.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        state = fetch(place, folder)
        return Snapshot(
            state=RunState.from_dict(state),
            weights=_tensors(folder, "weights"),
            averaged=_tensors(folder, "averaged"),
            best=_tensors(folder, "best"),
            optimizer=torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True),
        )


def _tensors(folder: Path, name: str) -> dict[str, Tensor]:
    file = folder / f"{name}.safetensors"
    return load_file(file) if file.exists() else {}
