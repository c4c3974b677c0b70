"""What a specification names that lies elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

UPLOAD = "upload:"


def addresses(config: Any, field: str = "config") -> Iterator[tuple[str, str]]:
    """Every text of a configuration and the name of its field, however deep; what is an address shows in its form."""
    if isinstance(config, str):
        yield field, config
    elif isinstance(config, Mapping):
        for name, value in config.items():
            yield from addresses(value, f"{field}.{name}")
    elif isinstance(config, list | tuple):
        for number, value in enumerate(config):
            yield from addresses(value, f"{field}.{number}")


def uploads_of(spec: Mapping[str, Any]) -> frozenset[str]:
    """The ids of the uploads that a job needs."""
    found = (text for _, text in addresses(spec.get("config", {})))
    return frozenset(text.removeprefix(UPLOAD) for text in found if text.startswith(UPLOAD))
