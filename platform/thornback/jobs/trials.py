"""A sweep's trials as specifications: made of what is tried, and checked before the first of them is. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from thornback.jobs.space import (
    Choice,
    Domain,
    Integer,
    LogUniform,
    Parameters,
    Scalar,
    Space,
    holds,
    in_order,
    with_parameters,
)
from thornback.jobs.sweep import SweepConfig

TRAININGS = ("convnext", "lora")
"""The kinds that measure something while they run."""

# What an epoch of a ConvNeXt is measured by. Others measure what their trainers print.
MEASURED = ("val_loss", "val_accuracy", "macro_f1", "train_loss", "train_accuracy")

_DRAWS = 16
_OWN = ("job_name", "priority", "team")
ModelOf = Callable[[object, object], type[BaseModel]]  # of a kind and a backend; raises where they do not go together


def trial_body(config: SweepConfig, defaults: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    """The specification of one trial, before it is validated; `defaults` are what it has from its sweep."""
    tags = {**defaults.get("tags", {}), **config.trial.get("tags", {})}
    return with_parameters({**defaults, **config.trial, "tags": tags}, parameters)


def unit_of(kind: str) -> str:
    """What a trial's progress is counted in: a LoRA's rows are of steps."""
    return "epoch" if kind == "convnext" else "step"


def check_space(config: SweepConfig, defaults: Mapping[str, Any], model_of: ModelOf) -> None:
    """Refuse what no trial, or not every trial, could be made of.

    Args:
        config: of the sweep.
        defaults: what each trial has from its sweep.
        model_of: the specification of a kind on a backend.

    Raises:
        ValueError: `config.<field>: <what is wrong>`.
    """
    kind = config.trial.get("kind", TRAININGS[0])
    if kind not in TRAININGS:
        words = " or ".join(TRAININGS)
        raise ValueError(f"config.trial.kind: {kind!r} measures nothing that could be compared; use {words}")
    if kind == TRAININGS[0] and config.metric not in MEASURED:
        raise ValueError(f"config.metric: {kind} measures {', '.join(MEASURED)}, and no {config.metric}")
    for name in (*_OWN, "kind"):
        if name in config.space or (name in config.trial and name != "kind"):
            where = "space" if name in config.space else "trial"
            raise ValueError(f"config.{where}.{name}: a trial has it from its sweep; leave it out")

    def problems(parameters: Parameters) -> Sequence[tuple[str, str]]:
        body = trial_body(config, defaults, parameters)
        try:
            model_of(body.get("kind", kind), body.get("backend")).model_validate(body)
        except ValidationError as error:
            return [_named(item, model_of(body.get("kind", kind), body.get("backend"))) for item in error.errors()]
        return []

    _check_edges(config, problems)
    _check_whole(config, problems)


def examples(space: Space) -> Iterator[Parameters]:
    """Trials as they may come: every end of every range and every choice, with the others drawn."""
    rng = random.Random(0)  # noqa: S311 - the same answer each time
    for name, domain in space.items():
        for value in domain.edges():
            yield {**draw(space, rng), **_where_it_counts(space, name), name: value}


def draw(space: Space, rng: random.Random) -> dict[str, Scalar]:
    """Values as a trial could get them; for checks only, the searcher draws its own."""
    chosen: dict[str, Scalar] = {}
    for name in in_order(space):
        if holds(space[name], chosen):
            chosen[name] = _value(space[name], rng)
    return chosen


def _check_edges(config: SweepConfig, problems: Callable[[Parameters], Sequence[tuple[str, str]]]) -> None:
    """Each end of each range, and each value of each choice, where its condition holds: some trial must take it."""
    rng = random.Random(0)  # noqa: S311 - the same answer each time
    for name, domain in config.space.items():
        for value in domain.edges():
            told = (_told_of(name, problems(chosen)) for chosen in _with(config.space, name, value, rng))
            first = next(told)
            if first is not None and all(told):  # most are sound at the first look
                raise ValueError(f"config.space.{name}: {value!r}: {first}")


def _with(space: Space, name: str, value: Scalar, rng: random.Random) -> Iterator[Parameters]:
    """Trials in which a field has this value: alone, and with what the others may be."""
    chosen = {**_where_it_counts(space, name), name: value}
    yield chosen
    for _ in range(_DRAWS):
        yield {**draw(space, rng), **chosen}


def _told_of(name: str, found: Sequence[tuple[str, str]]) -> str | None:
    """What is wrong with a field, or with what it is a part of."""
    for field, text in found:
        if field == name or name.startswith(f"{field}.") or field.startswith(f"{name}."):
            return text
    return None


def _check_whole(config: SweepConfig, problems: Callable[[Parameters], Sequence[tuple[str, str]]]) -> None:
    """Some trials as they may be drawn: one at least must be sound, and no field of the trial's own may be wrong."""
    rng = random.Random(0)  # noqa: S311 - the same answer each time
    first: tuple[str, str] | None = None
    for _ in range(_DRAWS):
        chosen = draw(config.space, rng)
        found = problems(chosen)
        if not found:
            return
        own = [item for item in found if item[0] not in chosen]
        first = first or (own or list(found))[0]
    field, message = first or ("", "")
    raise ValueError(f"config.trial.{field}: {message}" if field else f"config.trial: {message}")


def _where_it_counts(space: Space, name: str) -> dict[str, Scalar]:
    """Values of the others under which a field is searched."""
    chosen: dict[str, Scalar] = {}
    for other, values in space[name].when.items():
        known = getattr(space[other], "values", values)
        chosen |= {**_where_it_counts(space, other), other: next(value for value in values if value in known)}
    return chosen


def _named(item: Any, model: type[BaseModel]) -> tuple[str, str]:
    field = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        return field, message
    *path, last = field.split(".")
    inner: Any = model
    for part in path:
        inner = inner.model_fields[part].annotation
    close = get_close_matches(last, getattr(inner, "model_fields", {}), n=1)
    hint = f"; did you mean {'.'.join([*path, close[0]])}?" if close else ""
    return field, f"there is no such field{hint}"


def _value(domain: Domain, rng: random.Random) -> Scalar:
    if isinstance(domain, Choice):
        return rng.choice(domain.values)
    if isinstance(domain, Integer):
        return rng.randint(domain.low, domain.high)
    if isinstance(domain, LogUniform):
        return float(domain.low * (domain.high / domain.low) ** rng.random())
    return rng.uniform(domain.low, domain.high)
