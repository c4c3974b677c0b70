"""Where a run stands, beside its weights: everything that a resume needs to go on as if nothing had been.

JSON holds it exactly: Python writes floats so that they are read back to the same bits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from train_jobs.convnext.schedule import Watch


@dataclass(slots=True, kw_only=True)
class Sums:
    """Running sums over clips, over all workers."""

    loss: float = 0.0
    right: float = 0.0
    clips: float = 0.0

    def add(self, other: Sums) -> None:
        """Add another stretch."""
        self.loss += other.loss
        self.right += other.right
        self.clips += other.clips

    @property
    def mean_loss(self) -> float:
        """Mean loss of a clip."""
        return self.loss / max(self.clips, 1.0)

    @property
    def accuracy(self) -> float:
        """Share of clips named rightly."""
        return self.right / max(self.clips, 1.0)


@dataclass(slots=True, kw_only=True)
class Best:
    """The best epoch's figures."""

    epoch: int
    loss: float
    accuracy: float
    macro_f1: float
    recall: list[float | None]
    confusion: list[list[int]]


@dataclass(slots=True, kw_only=True)
class RunState:
    """Position and memory of a run."""

    epoch: int = 1  # the one that is being trained, from 1
    done: int = 0  # clips of it that are done, over all workers
    batch: int = 0  # steps of it that are done
    step: int = 0  # steps of the whole run
    epoch_sums: Sums = field(default_factory=Sums)
    window_sums: Sums = field(default_factory=Sums)  # since the last row for the charts
    learning_rate: float = 0.0  # of the newest step, as the next
    gradient_norm: float = 0.0
    watch: Watch = field(default_factory=Watch)
    best: Best | None = None
    broken: dict[str, str] = field(default_factory=dict)  # files that could not be decoded, and why
    is_finished: bool = False
    # Measured, so no two runs have the same: seconds spent and images trained on in them.
    seconds: float = 0.0
    images: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        made = {
            "epoch_sums": Sums(**values["epoch_sums"]),
            "window_sums": Sums(**values["window_sums"]),
            "watch": Watch(**values["watch"]),
            "best": None if values["best"] is None else Best(**values["best"]),
        }
        return cls(**{**values, **made})
