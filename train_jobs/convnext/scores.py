"""From a confusion matrix to the figures that people compare. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """How well classes were told apart.

    Attributes:
        confusion: [classes, classes] counts, the true class in rows, the predicted one in columns.
        loss: mean cross-entropy over the clips.
    """

    confusion: NDArray[np.int64]
    loss: float

    @property
    def count(self) -> int:
        """Clips that were judged."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of clips that were named rightly."""
        return float(np.trace(self.confusion) / max(self.count, 1))

    @property
    def recall(self) -> list[float | None]:
        """Per class; None for a class with no clip."""
        totals = self.confusion.sum(axis=1)
        right = np.diagonal(self.confusion)
        return [float(hits / total) if total else None for hits, total in zip(right, totals, strict=True)]

    @property
    def macro_f1(self) -> float:
        """Mean over the classes that occur of 2·TP / (2·TP + FP + FN)."""
        right = np.diagonal(self.confusion).astype(np.float64)
        rows, columns = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        present = rows > 0
        if not present.any():
            return 0.0
        return float((2 * right[present] / (rows + columns)[present]).mean())
