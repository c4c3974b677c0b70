"""Learning rate as a function of how far the run is, and when to stop early. Pure; knows no torch.

The position is counted in epochs, as a fraction, so a run that goes on with another number of workers
(and so another number of steps in an epoch) follows the same curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from thornback.jobs.convnext import TrainingConfig

STEP_FACTOR = 0.1  # the step scheduler divides the rate by ten, twice in a run
PLATEAU_FACTOR = 0.5
PLATEAU_PATIENCE = 3  # epochs without a better loss before the rate is halved
MIN_IMPROVEMENT = 1e-4  # a loss counts as better when it is lower by this share


@dataclass(slots=True, kw_only=True)
class Watch:
    """The best loss so far and how long nothing was better. Everything here goes into checkpoints."""

    best_loss: float | None = None
    best_epoch: int = 0
    epochs_without: int = 0
    plateau_epochs: int = 0  # the same since the plateau scheduler lowered the rate
    plateau_scale: float = 1.0

    def see(self, epoch: int, loss: float) -> bool:
        """Note an epoch's loss. True where it is the best one."""
        if self.best_loss is None or loss < self.best_loss * (1 - MIN_IMPROVEMENT):
            self.best_loss, self.best_epoch = loss, epoch
            self.epochs_without = self.plateau_epochs = 0
            return True
        self.epochs_without += 1
        self.plateau_epochs += 1
        if self.plateau_epochs >= PLATEAU_PATIENCE:
            self.plateau_scale *= PLATEAU_FACTOR
            self.plateau_epochs = 0
        return False

    def is_over(self, config: TrainingConfig) -> bool:
        """True where early stopping says so."""
        return 0 < config.early_stop_patience <= self.epochs_without


def learning_rate(config: TrainingConfig, position: float, plateau_scale: float) -> float:
    """The rate for a step whose middle is at `position` epochs (0 < position < epochs)."""
    warmup = config.effective_warmup_epochs
    if position < warmup:
        return config.learning_rate * position / warmup
    share = (position - warmup) / max(config.epochs - warmup, 1e-9)  # of what comes after the warm-up
    if config.lr_scheduler == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    if config.lr_scheduler == "step":
        return config.learning_rate * STEP_FACTOR ** min(int(share * 3), 2)
    return config.learning_rate * plateau_scale
