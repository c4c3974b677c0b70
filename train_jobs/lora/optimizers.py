"""The optimizers by their names in the configuration."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from thornback.errors import InvalidInput
from thornback.jobs.own_lora import LoraConfig

BETAS = (0.9, 0.999)


def make_optimizer(config: LoraConfig, parameters: Iterable[nn.Parameter], device: torch.device) -> Any:
    """An optimizer over the LoRA's parameters.

    Raises:
        InvalidInput: it needs a library or a device that is not there.
    """
    parameters = list(parameters)
    options: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "betas": BETAS}
    if config.optimizer == "adamw8bit":
        if device.type != "cuda":
            raise InvalidInput.field("config.optimizer", "adamw8bit works on a GPU only; use adamw")
        return _library("bitsandbytes", "adamw8bit").optim.AdamW8bit(parameters, **options)
    if config.optimizer == "prodigy":
        return _library("prodigyopt", "prodigy").Prodigy(parameters, safeguard_warmup=True, **options)
    return torch.optim.AdamW(parameters, fused=True, **options)  # one call over all tensors, on a CPU too


def restore_optimizer(optimizer: Any, saved: Mapping[str, Any]) -> None:
    """Put a saved state back.

    Raises:
        InvalidInput: it is of another optimizer.
    """
    mine, theirs = optimizer.state_dict()["param_groups"], saved["param_groups"]
    # Prodigy adds to its own as it goes.
    if any(not one.keys() <= other.keys() for one, other in zip(mine, theirs, strict=False)):
        raise InvalidInput.field("resume_from", "the checkpoint is of a run with another optimizer")
    optimizer.load_state_dict(dict(saved))


def _library(name: str, optimizer: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        problem = f"{optimizer} needs {name}, which is not installed on this worker: pip install {name}"
        raise InvalidInput.field("config.optimizer", problem) from error
