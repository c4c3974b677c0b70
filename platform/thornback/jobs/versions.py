"""Trained models and their versions: names, and what is known of one version. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from thornback.by_name import ByName
from thornback.errors import Conflict, InvalidInput, NotFound

LATEST = "latest"  # the alias of the greatest number, always

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
ALIAS_NAME = r"^[A-Za-z][A-Za-z0-9._-]{0,99}$"
VERSION_REF = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
MAX_NOTES = 10_000
MAX_VERSION = 2**31 - 1

_NUMBER = re.compile(r"v?([1-9][0-9]{0,9})", re.ASCII | re.IGNORECASE)
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class VersionInUse(Conflict):
    """The version cannot go: an alias points at it, or a job that has not ended uses it."""

    code = "version_in_use"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion(ByName):
    """One version of a model. It is there when its files are whole."""

    model: str
    user: str  # whose model it is
    version: int  # from 1
    job_id: str  # the job that made it
    key: str  # of the weights, below the storage
    size_bytes: int  # of the weights
    sha256: str  # of the weights, hex
    created_at: datetime
    config: Mapping[str, Any] = field(default_factory=dict)  # trigger, steps, learning_rate, frame_count, …
    lineage: Mapping[str, Any] = field(default_factory=dict)  # what it was made of, see `models.publish`
    notes: str = ""
    aliases: tuple[str, ...] = ()  # those that were set; `latest` is not among them
    is_latest: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All its aliases, `latest` included."""
        return ((LATEST,) if self.is_latest else ()) + self.aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion(ByName):
    """A version whose files are whole at their place, to be made known."""

    model: str
    user: str
    version: int  # the number in the place of its files
    job_id: str
    key: str
    size_bytes: int
    sha256: str
    at: datetime
    config: Mapping[str, Any]
    lineage: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPlan(ByName):
    """Where a job stands with a model: the version that it made, or the number that is the next."""

    next: int
    version: ModelVersion | None = None


def check_model_name(name: str) -> str:
    """The name. Raises InvalidInput."""
    if re.fullmatch(MODEL_NAME.strip("^$"), name) is None:
        raise InvalidInput.field(
            "model",
            f"{name[:120]!r} is no name of a model; use up to 100 letters, digits, dots, dashes and underscores",
        )
    return name


def check_alias(alias: str) -> str:
    """The alias. Raises InvalidInput for `latest`, for what reads as a number, and for what is no name."""
    if re.fullmatch(ALIAS_NAME.strip("^$"), alias) is None:
        problem = "is no alias; begin with a letter, then letters, digits, dots, dashes and underscores"
    elif alias.casefold() == LATEST:
        problem = "is always the newest version and cannot be set"
    elif _NUMBER.fullmatch(alias):
        problem = "reads as the number of a version; use another word"
    else:
        return alias
    raise InvalidInput.field("alias", f"{alias[:120]!r} {problem}")


def number_of(ref: str) -> int | None:
    """The number that `3` or `v3` names, None for an alias."""
    match = _NUMBER.fullmatch(ref)
    return None if match is None else int(match.group(1))


def fit_model_name(text: str) -> str:
    """A name of a model out of any text, e.g. the name of a job; `lora` where nothing of it fits."""
    return _UNFIT.sub("-", text).strip("._-")[:100] or "lora"


def model_not_found(model: str) -> NotFound:
    """There is no such model, or no version of it is left."""
    return NotFound(f"there is no model {model}", model=model)


def version_not_found(model: str, ref: str | int) -> NotFound:
    """The model has no such version."""
    return NotFound(f"model {model} has no version {ref}", model=model, version=str(ref))
