"""What a checkpoint consists of and how it is written and read.

A folder of four files: the weights, the best epoch's weights (from the first epoch's end on), the
optimizer, and state.json. state.json is written last and names the size of each other file: where it is
there and the sizes agree, the checkpoint is whole. Nothing is unpickled but tensors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load, load_file, save_file
from torch import Tensor

from thornback.artifacts.files import Location
from train_jobs.common.snapshots import fetch, seal
from train_jobs.convnext.state import RunState

WEIGHTS = "model.safetensors"
BEST = "best.safetensors"
OPTIMIZER = "optimizer.pt"

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a run needs to go on."""

    state: RunState
    weights: Weights
    best: Weights | None
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
    save_file(_plain(snapshot.weights), folder / WEIGHTS)
    if snapshot.best is not None:
        save_file(_plain(snapshot.best), folder / BEST)
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
            weights=load_file(folder / WEIGHTS),
            best=load_file(folder / BEST) if (folder / BEST).exists() else None,
            optimizer=torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True),
        )


def read_best(place: Location) -> dict[str, Tensor]:
    """Only the best epoch's weights of a checkpoint."""
    return load((place / BEST).read_bytes())


def copy_weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """The weights as they are now, on the CPU; later steps do not change them."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in module.state_dict().items()}


def _plain(weights: Weights) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in weights.items()}
