"""Read what a provider sent without trusting it: clean text, finite numbers, readable timestamps, real addresses.

What is missing or unreadable is left out and named in `warnings`; only a body that cannot be told apart
from rubbish is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from thornback.errors import InvalidInput

MAX_DEPTH = 40  # of nested JSON; what providers send has five or six
MAX_ADDRESS = 8192  # characters
MAX_ID = 200


def load_json(raw: bytes | str) -> Any:
    """Parse JSON that may hold bare control characters, as real training logs do.

    Raises:
        InvalidInput: it is no JSON.
    """
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        return json.loads(text, strict=False, parse_constant=lambda _name: None)
    except (ValueError, RecursionError) as error:
        raise InvalidInput.field("body", f"it is no JSON: {error}") from None


def load_body(raw: bytes | str) -> dict[str, Any]:
    """Parse a JSON object that may hold bare control characters.

    Raises:
        InvalidInput: it is no JSON object.
    """
    body = load_json(raw)
    if not isinstance(body, dict):
        raise InvalidInput.field("body", "it must be a JSON object")
    return body


def clean(value: Any, depth: int = 0) -> Any:
    """A copy that any database and any JSON writer takes: no NUL, no half characters, no NaN.

    Raises:
        InvalidInput: it is nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise InvalidInput.field("body", f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """Without NUL (PostgreSQL has none) and without lone surrogates (UTF-8 has none)."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def is_address(value: Any) -> bool:
    """True for something that can be fetched."""
    return isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= MAX_ADDRESS


def addresses(value: Any) -> Iterator[str]:
    """Every address in an output, in its order: one string, a list of strings, objects with addresses in them."""
    if is_address(value):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from addresses(item)
    elif isinstance(value, list):
        for item in value:
            yield from addresses(item)


def read_moment(value: Any) -> datetime | None:
    """A timestamp in UTC, None where it cannot be read. Without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_seconds(value: Any) -> float | None:
    """A duration, None where it is no finite number from 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


class Fields:
    """One body, field by field; `warnings` names what was missing or unreadable."""

    def __init__(self, body: Any) -> None:
        if not isinstance(body, Mapping):
            raise InvalidInput.field("body", "it must be a JSON object")
        self.body: dict[str, Any] = clean(body)
        self.warnings: list[str] = []

    def identity(self, name: str) -> str:
        """A field without which nothing can be done.

        Raises:
            InvalidInput: it is missing, empty, too long or no text.
        """
        value = self.body.get(name)
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_ID:
            raise InvalidInput.field(name, f"it must be a text of 1 to {MAX_ID} characters")
        return value

    def text(self, name: str) -> str | None:
        """A text; anything else is turned into JSON, so that nothing that a provider says is lost."""
        value = self.body.get(name)
        if value is None or isinstance(value, str):
            return value
        self.warnings.append(f"{name} is no text")
        return json.dumps(value, ensure_ascii=False)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object, empty where there is none."""
        value = self.body.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.warnings.append(f"{name} is no object")
        return {}

    def moment(self, name: str, *, expected: bool = False) -> datetime | None:
        """A timestamp; one that cannot be read is left out."""
        value = self.body.get(name)
        if value is None:
            if expected:
                self.warnings.append(f"{name} is missing")
            return None
        moment = read_moment(value)
        if moment is None:
            self.warnings.append(f"{name} cannot be read: {str(value)[:100]!r}")
        return moment

    def seconds(self, group: str, name: str, *, expected: bool = False) -> float | None:
        """A duration inside an object."""
        value = self.mapping(group).get(name) if self.body.get(group) is not None else None
        if value is None:
            if expected:
                self.warnings.append(f"{group}.{name} is missing")
            return None
        seconds = read_seconds(value)
        if seconds is None:
            self.warnings.append(f"{group}.{name} cannot be read: {str(value)[:100]!r}")
        return seconds
