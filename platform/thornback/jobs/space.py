"""What a sweep searches: for each dotted name of a field the values that it may take. Pure.

How they are drawn is the searcher's business; here stands only what a range or a choice is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_VALUES = 100
Scalar = bool | int | float | str | None


class _Domain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    when: Annotated[
        dict[str, list[Scalar]],
        Field(
            max_length=8,
            description="Only where these other fields of the space have one of these values; else the trial's own.",
        ),
    ] = {}


class Choice(_Domain):
    """One of some values, which need not be numbers."""

    type: Literal["choice"]
    values: Annotated[list[Scalar], Field(min_length=1, max_length=MOST_VALUES)]

    def edges(self) -> Sequence[Scalar]:
        """Every value that decides whether the field takes them all."""
        return self.values


class Grid(Choice):
    """Each of some values: with search `grid` every combination of them is tried."""

    type: Literal["grid"]  # type: ignore[assignment]


class _Range(_Domain):
    low: float
    high: float

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be less than high ({self.high:g})")
        return self

    def edges(self) -> Sequence[Scalar]:
        """The least and the greatest value."""
        return (self.low, self.high)


class Uniform(_Range):
    """A number between two, both included."""

    type: Literal["uniform"]


class LogUniform(_Range):
    """A number between two whose logarithm is spread evenly, as learning rates are."""

    type: Literal["loguniform"]

    @model_validator(mode="after")
    def _has_a_logarithm(self) -> Self:
        if self.low <= 0.0:
            raise ValueError(f"low ({self.low:g}) must be greater than 0 on a logarithmic scale")
        return self


class Integer(_Domain):
    """A whole number between two, both included."""

    type: Literal["integer"]
    low: int
    high: int
    log: Annotated[bool, Field(description="Spread evenly by its logarithm.")] = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be less than high ({self.high})")
        if self.log and self.low < 1:
            raise ValueError(f"low ({self.low}) must be at least 1 on a logarithmic scale")
        return self

    def edges(self) -> Sequence[Scalar]:
        """The least and the greatest value."""
        return (self.low, self.high)


Domain = Annotated[Choice | Grid | Uniform | LogUniform | Integer, Field(discriminator="type")]
Space = Mapping[str, Domain]
Parameters = Mapping[str, Scalar]  # by dotted name; a field whose condition does not hold is not in there


def in_order(space: Space) -> list[str]:
    """The names so that each comes after those that its condition looks at.

    Raises:
        ValueError: `<name>: …`, where a condition looks at what is not searched, cannot be, or in a circle.
    """
    done: list[str] = []
    waiting = list(space)
    for name in waiting:
        for other, values in space[name].when.items():
            if other not in space:
                raise ValueError(f"{name}: when: {other} is not searched; name another field of the space")
            known = getattr(space[other], "values", None)
            if known is not None and not [value for value in values if value in known]:
                raise ValueError(f"{name}: when: {other} never is one of {values}")
    while waiting:
        free = [name for name in waiting if all(other in done for other in space[name].when)]
        if not free:
            raise ValueError(f"{waiting[0]}: when: the conditions go round in a circle")
        done += free
        waiting = [name for name in waiting if name not in free]
    return done


def holds(domain: Domain, chosen: Parameters) -> bool:
    """Whether a field is searched in a trial that has chosen these values for those before it."""
    return all(other in chosen and chosen[other] in values for other, values in domain.when.items())


def with_parameters(body: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    """A trial's specification: `body` with the value of each dotted name put in. `body` is left alone."""
    made = dict(body)
    for name, value in parameters.items():
        here = made
        *path, last = name.split(".")
        for part in path:
            inner = here.get(part)
            here[part] = dict(inner) if isinstance(inner, Mapping) else {}
            here = here[part]
        here[last] = value
    return made
