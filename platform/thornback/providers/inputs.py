"""From our fields to a provider's inputs: names, types and ranges, checked before anything is paid for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thornback.errors import InvalidInput
from thornback.providers.reading import is_address

Kind = Literal["string", "address", "integer", "number", "boolean", "object"]

_IS_KIND: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "address": is_address,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict | str),
}

_WORDS = {
    "string": "a text",
    "address": "an http(s) address",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object or a text",
}


class InputSpec(BaseModel):
    """One input of a provider's trainer or model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    type: Kind
    min: float | None = None  # of a number, or characters of a text
    max: float | None = None
    one_of: list[Any] | None = None
    pattern: str | None = None
    default: Any = None  # the provider's own
    required: bool = False

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max")
        if self.default is not None and (problem := self.problem(self.default)):
            raise ValueError(f"default: {problem}")
        return self

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, None where nothing is."""
        if not _IS_KIND[self.type](value):
            return f"it must be {_WORDS[self.type]}, not {str(value)[:60]!r}"
        if self.one_of is not None and value not in self.one_of:
            return f"{value!r} is none of {', '.join(map(str, self.one_of))}"
        if self.pattern is not None and not re.fullmatch(self.pattern, str(value)):
            return f"{value!r} does not look like {self.pattern}"
        size = len(value) if isinstance(value, str) else value
        if isinstance(size, int | float) and not self._in_range(size):
            unit = " characters" if isinstance(value, str) else ""
            return f"{size:g}{unit} is outside {self.range}{unit}"
        return None

    def _in_range(self, size: float) -> bool:
        return (self.min is None or size >= self.min) and (self.max is None or size <= self.max)

    @property
    def range(self) -> str:
        """The range in words."""
        if self.min is not None and self.max is not None:
            return f"{self.min:g} to {self.max:g}"
        return f"{self.min:g} or more" if self.min is not None else f"{self.max:g} or less"


class FieldMap(BaseModel):
    """A field of ours whose values the provider calls otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str
    values: Annotated[dict[str, Any], Field(min_length=1, description="Our value -> the provider's.")]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a field goes: an input, or a place inside one ("image_size.width")."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict)  # ours -> theirs; empty: as it is

    @property
    def root(self) -> str:
        """The input's name."""
        return self.path.partition(".")[0]

    def read(self, sent: Any) -> Any:
        """The value at this place, under our name for it; None where there is none."""
        value = sent
        for part in self.path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        back = [ours for ours, theirs in self.values.items() if theirs == value]
        return back[0] if back else None if self.values else value


def target_of(spec: str | FieldMap) -> Target:
    """Read one value of an entry's `fields`."""
    return Target(spec) if isinstance(spec, str) else Target(spec.input, spec.values)


def covers(sent: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """True where everything wanted was sent with the same value; more may have been sent."""
    return all(name in sent and sent[name] == value for name, value in wanted.items())


class Form:
    """The inputs of one order while they are filled in; every refusal names the field of the config."""

    def __init__(self, specs: Mapping[str, InputSpec], fields: Mapping[str, str | FieldMap], *, what: str) -> None:
        self._specs = specs
        self._fields = fields
        self._what = what
        self._sent: dict[str, Any] = {}
        self._by: dict[str, str] = {}  # input -> the field of the config that gave it

    def put_fixed(self, fixed: Mapping[str, Any]) -> None:
        """What every order sends."""
        for name, value in fixed.items():
            self._set(name, Target(name), value, self._what)

    def put(self, name: str, value: Any) -> None:
        """One field of ours."""
        where = f"config.{name}"
        if name not in self._fields:
            raise InvalidInput.field(where, f"{self._what} has no such input; it has {', '.join(sorted(self._fields))}")
        target = target_of(self._fields[name])
        if target.values:
            if value not in target.values:
                raise InvalidInput.field(where, f"{value!r} is none of {', '.join(target.values)}")
            value = target.values[value]
        self._set(where, target, value, where)

    def choose(self, name: str, mode: str, modes: Mapping[Any, Mapping[str, Any]]) -> None:
        """A field that sets several inputs."""
        where = f"config.{name}"
        if mode not in modes:
            known = f"it has {', '.join(modes)}" if modes else "leave it out"
            raise InvalidInput.field(where, f"{self._what} cannot do {mode}; {known}")
        for their_name, value in modes[mode].items():
            self._set(where, Target(their_name), value, where)

    def put_own(self, own: Mapping[str, Any]) -> None:
        """Inputs under the provider's names; those that the catalogue knows are checked."""
        for name, value in own.items():
            where = f"config.inputs.{name}"
            if name in self._by and not (name in self._sent and self._sent[name] == value):
                raise InvalidInput.field(where, f"{self._by[name]} has set it; give it in one place")
            if name not in self._specs and (problem := _json_problem(value)):
                raise InvalidInput.field(where, problem)
            self._sent.pop(name, None)
            self._set(where, Target(name), value, where)

    def finish(self) -> dict[str, Any]:
        """The whole, once everything that is required is there."""
        names = {target_of(spec).root: name for name, spec in self._fields.items()}
        for name, spec in self._specs.items():
            if spec.required and name not in self._sent:
                where = f"config.{names[name]}" if name in names else f"config.inputs.{name}"
                raise InvalidInput.field(where, f"{self._what} needs it")
            self._check_whole(name)
        return self._sent

    def _set(self, where: str, target: Target, value: Any, by: str) -> None:
        spec = self._specs.get(target.root)
        first, *rest = target.path.split(".")
        if not rest:
            if spec is not None and (problem := spec.problem(value)):
                raise InvalidInput.field(where, problem)
            if first in self._sent:
                raise InvalidInput.field(where, f"{self._by[first]} says it already; give one of them")
            self._sent[first] = value
        else:
            place = self._sent.setdefault(first, {})
            if not isinstance(place, dict):
                raise InvalidInput.field(where, f"{self._by[first]} says it already; give one of them")
            place[rest[-1]] = value
        self._by[first] = by

    def _check_whole(self, name: str) -> None:
        """An object that is put together from several fields of ours needs all of them."""
        parts = {
            target.path.partition(".")[2]: ours
            for ours, spec in self._fields.items()
            if (target := target_of(spec)).root == name and "." in target.path
        }
        value = self._sent.get(name)
        if not parts or not isinstance(value, dict):
            return
        for part, ours in parts.items():
            if part not in value:
                raise InvalidInput.field(f"config.{ours}", f"give it together with {self._by[name]}")


def _json_problem(value: Any, depth: int = 0) -> str | None:
    if depth > 20:
        return "it is nested too deeply"
    if isinstance(value, float) and not math.isfinite(value):
        return "it must be a finite number"
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((problem for item in items if (problem := _json_problem(item, depth + 1))), None)
