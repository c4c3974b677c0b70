"""Learning rate as a function of the step, and when to stop early. Pure; knows no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thornback.jobs.own_lora import LoraConfig

MIN_IMPROVEMENT = 1e-4  # a loss counts as better when it is lower by this share


def learning_rate(config: LoraConfig, step: int, steps: int) -> float:
    """The rate for a step, from 1, of a run of so many."""
    if step <= config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    share = (step - config.warmup_steps - 1) / max(steps - config.warmup_steps, 1)
    if config.lr_scheduler == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    if config.lr_scheduler == "linear":
        return config.learning_rate * (1 - share)
    return config.learning_rate


@dataclass(slots=True, kw_only=True)
class Watch:
    """The best validation so far and how long nothing was better. Goes into checkpoints."""

    best_loss: float | None = None
    best_step: int = 0
    validations_without: int = 0

    def see(self, step: int, loss: float) -> bool:
        """Note a validation. True where it is the best one."""
        if self.best_loss is None or loss < self.best_loss * (1 - MIN_IMPROVEMENT):
            self.best_loss, self.best_step, self.validations_without = loss, step, 0
            return True
        self.validations_without += 1
        return False

    def is_over(self, patience: int) -> bool:
        """True where early stopping says so."""
        return 0 < patience <= self.validations_without
