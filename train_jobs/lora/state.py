"""Where a run stands, beside its weights. JSON holds it exactly."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from train_jobs.lora.schedule import Watch


@dataclass(slots=True, kw_only=True)
class RunState:
    """Position and memory of a run."""

    step: int = 0  # optimizer steps that are done
    loss_sum: float = 0.0  # since the last row for the charts, over all workers
    loss_steps: int = 0
    learning_rate: float = 0.0
    gradient_norm: float = 0.0
    watch: Watch = field(default_factory=Watch)
    is_finished: bool = False
    stopped_early: bool = False
    # Measured, so no two runs have the same.
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        return cls(**{**values, "watch": Watch(**values["watch"])})
