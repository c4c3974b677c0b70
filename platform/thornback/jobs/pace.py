"""How long a training on this cluster will take, from those that ended here. Pure.

A training is a number of epochs or steps. What one of them takes is the middle of what it took in past trainings of the
same model, those that are most like this one: equal in as many of the settings as possible on which the time depends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.own_lora import LoraConfig

# Another model is another matter altogether.
_MODEL = ("model_architecture", "base_model")
# What else the time of an epoch or a step depends on.
_FACTORS = (
    "data",
    "dataset",
    "accelerator",
    "devices",
    "batch_size",
    "resolution",
    "gradient_accumulation",
    "train_text_encoder",
    "quantize_base",
    "precision",
    "strategy",
    "sample_rate",
    "clip_seconds",
    "n_mels",
    "hop_length",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A training that was completed."""

    config: Mapping[str, Any]
    epochs: int  # that it came to: it may have stopped early
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a training will take."""

    seconds: float
    units: int
    unit: str  # epochs or steps
    runs: int  # it is the middle of so many
    differs: Sequence[str]  # settings in which some of them are otherwise


def expected(config: TrainingConfig | LoraConfig, history: Iterable[PastRun]) -> Expected | None:
    """What a training takes; None where none of its model ended here. `history` is of its kind."""
    wanted = config.model_dump(mode="json")
    unit, units = _units(config)
    closest: list[tuple[float, frozenset[str]]] = []
    fewest = len(_FACTORS) + 1
    for run in history:
        pace = _pace(config, run, unit)
        if pace is None or any(run.config.get(name) != wanted.get(name) for name in _MODEL):
            continue
        differs = frozenset(name for name in _FACTORS if run.config.get(name) != wanted.get(name))
        if len(differs) < fewest:
            closest, fewest = [], len(differs)
        if len(differs) == fewest:
            closest.append((pace, differs))
    if not closest:
        return None
    return Expected(
        seconds=median(pace for pace, _ in closest) * units,
        units=units,
        unit=unit,
        runs=len(closest),
        differs=sorted(frozenset[str]().union(*(differs for _, differs in closest))),
    )


def _units(config: TrainingConfig | LoraConfig) -> tuple[str, int]:
    if config.epochs is not None:
        return "epochs", config.epochs
    return "steps", config.total_steps(1)


def _pace(config: TrainingConfig | LoraConfig, run: PastRun, unit: str) -> float | None:
    """Seconds a unit; None where it counted another one."""
    # Stored as it was valid then; today's ranges may be others.
    past = type(config).model_construct(**run.config)
    past_unit, units = _units(past)
    if past_unit != unit:
        return None
    done = min(units, run.epochs) if unit == "epochs" and run.epochs > 0 else units
    return run.seconds / done if done > 0 and run.seconds > 0 else None
