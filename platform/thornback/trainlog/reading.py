"""What is on a line, before it is known which bar the training's is."""

from __future__ import annotations

from dataclasses import dataclass

from thornback.trainlog.sample import Phase


@dataclass(kw_only=True, slots=True)
class Reading:
    """A bar or a sentence, as printed."""

    name: str = ""  # the words before it, cleaned
    bar: bool = False  # drawn, with or without a percentage; not a sentence
    n: int | None = None
    total: int | None = None
    percent: float | None = None  # as printed, so mostly rounded
    unit: str = "it"
    rate: float | None = None  # units per second
    eta: float | None = None  # seconds
    loss: float | None = None
    lr: float | None = None
    epoch: float | None = None
    epochs: int | None = None
    phase: Phase | None = None  # where the format alone says it
    per_epoch: bool = False  # n and total count the batches of one epoch
    done: bool = False  # the epoch is over
    from_zero: bool = False  # the format counts epochs from 0
    record: bool = False  # a dict or JSON: what it says of the epoch is true of its moment only
    text: str = ""

    @property
    def is_evidence(self) -> bool:
        """Only training has a learning rate, and hardly anything else a loss."""
        return self.lr is not None or self.loss is not None
