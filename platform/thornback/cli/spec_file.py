"""A job's specification from a YAML or JSON file and from `--set` options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from thornback.errors import InvalidInput


class _Loader(yaml.SafeLoader):
    """YAML whose values are JSON's: 1e-3 is a number, as in YAML 1.2, and 2026-01-01 is text."""


# The first characters by which PyYAML finds a rule; its own rules for both kinds of values are dropped.
_DROPPED = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag not in _DROPPED]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+)$"),
    list("-+.0123456789"),
)


def read_spec(file: Path) -> dict[str, Any]:
    """The mapping in a file.

    Raises:
        InvalidInput: it cannot be read, or holds no mapping.
    """
    try:
        content = _load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput.field(str(file), f"cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise InvalidInput.field(str(file), "holds no specification; it starts with `job_name: …`")
    return content


def assign(target: dict[str, Any], assignment: str) -> None:
    """Apply one `--set config.epochs=3`; the value is read as in a file (numbers, true, null, [lists]).

    Raises:
        InvalidInput: it is no assignment, or goes through something that holds no members.
    """
    path, equals, text = assignment.partition("=")
    names = path.strip().split(".")
    if not equals or not all(names):
        raise InvalidInput.field("--set", f"{assignment!r} is not NAME=VALUE")
    try:
        value = _load(text)
    except yaml.YAMLError as error:
        raise InvalidInput.field("--set", f"{text!r} cannot be read: {error}") from None
    for name in names[:-1]:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise InvalidInput.field("--set", f"{name} of {path} holds no members")
    target[names[-1]] = value


def _load(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it makes no objects, it is a SafeLoader
