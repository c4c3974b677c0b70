"""One reading of a trainer's log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What the trainer was doing as it printed the line."""

    DOWNLOADING = "downloading"
    LOADING = "loading"  # models, also extracting and quantizing
    PREPARING = "preparing"  # datasets: map, tokenize, buckets
    CAPTIONING = "captioning"
    CACHING = "caching"  # latents and text encoder outputs
    TRAINING = "training"
    SAMPLING = "sampling"  # pictures or text made on the way
    EVALUATING = "evaluating"
    SAVING = "saving"  # also uploading
    OTHER = "other"

    @property
    def is_preparation(self) -> bool:
        """Training has not begun where this is read first."""
        return self in _BEFORE


_BEFORE = frozenset({Phase.DOWNLOADING, Phase.LOADING, Phase.PREPARING, Phase.CAPTIONING, Phase.CACHING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What one line, or one bar in it, says; None where it does not say it."""

    phase: Phase
    step: int | None = None  # as printed; where a bar began again after a resume, with what was done before
    total: int | None = None  # of the training, or of the epoch where the bar counts its batches
    done: int | None = None  # steps of the whole training, also where the bar is one of an epoch
    of: int | None = None
    percent: float | None = None  # 0..100 of the whole training, unless `of_epoch`
    of_epoch: bool = False  # percent and eta are of one epoch, for nothing says how many there are
    rate: float | None = None  # steps per second
    loss: float | None = None  # may be NaN or infinite
    lr: float | None = None
    epoch: float | None = None
    epochs: int | None = None
    eta_seconds: float | None = None  # as the trainer itself expects, until all is done
    text: str = ""  # the line or its part, cleaned, at most 500 characters

    @property
    def moves_training(self) -> bool:
        """Whether percent is true of the training as a whole."""
        return self.phase is Phase.TRAINING and self.percent is not None and not self.of_epoch

    def as_dict(self) -> dict[str, str | float | None]:
        """For people and JSON: a loss that is no number is null, as JSON has no word for it."""
        return {
            "phase": self.phase.value,
            "step": self.step,
            "total": self.total,
            "percent": self.percent,
            "rate": self.rate,
            "loss": _finite(self.loss),
            "lr": _finite(self.lr),
            "epoch": int(self.epoch) if self.epoch is not None and self.epoch.is_integer() else self.epoch,
            "eta_seconds": self.eta_seconds,
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
