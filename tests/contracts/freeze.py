"""The public surface as text, and the command that writes it: `python -m tests.contracts.freeze`.

Whatever a user can have built on is in `frozen/`: the HTTP API, the settings, the commands. A change
shows there as a diff, and only there can a reviewer see all of it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast, get_args, get_origin

FOLDER = Path(__file__).with_name("frozen")


def openapi() -> str:
    """Paths, bodies and answers of the API. Nothing is called, so what the app stands on may be missing."""
    from serve_apps.api.app import create_app
    from thornback.settings import Settings

    nothing, nobody = cast(Any, None), cast(Any, SimpleNamespace(feeds=()))
    app = create_app(
        settings=Settings.model_construct(**_defaults()), reader=nothing, recorder=nobody, dispatcher_health=nothing
    )
    return json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def settings() -> str:
    """Each setting with its variable, its type and limits, its default and what it is for."""
    from thornback.settings import ENV_PREFIX, Settings

    properties = Settings.model_json_schema()["properties"]
    named = {ENV_PREFIX + name.upper(): _without(schema, "title") for name, schema in properties.items()}
    return json.dumps(named, indent=1, ensure_ascii=False) + "\n"


def commands() -> str:
    """Each command with its help, its arguments and its options."""
    import typer.main

    from thornback.cli.main import app

    return "\n".join(_describe(typer.main.get_command(app), ("thornback",)))


SURFACES: dict[str, Callable[[], str]] = {
    "openapi.json": openapi,
    "settings.json": settings,
    "commands.txt": commands,
}


def _defaults() -> dict[str, Any]:
    from thornback.settings import Settings

    return {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


def _describe(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    yield " ".join(path)
    for text in (command.help, command.epilog):
        yield from (f"  {line}".rstrip() for line in inspect.cleandoc(text or "").splitlines())
    for parameter in command.params:
        yield f"  {_parameter(parameter)}"
    yield ""
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from _describe(child, (*path, name))


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = (parameter.metavar or parameter.name).strip("[]").upper()
    else:
        name = ", ".join(parameter.opts) + "".join(f"/{opt}" for opt in parameter.secondary_opts)
    facts = [_type(parameter)]
    facts += ["required"] if parameter.required else []
    facts += ["repeatable"] if getattr(parameter, "multiple", False) or parameter.nargs == -1 else []
    if not (parameter.default is None or parameter.default is False or callable(parameter.default)):
        facts.append(f"default {_value(parameter.default)}")
    help_text = getattr(parameter, "help", None) or ""
    return f"{name}  ({', '.join(facts)})  {' '.join(help_text.split())}".rstrip()


def _type(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return "flag"
    kind = parameter.type_descriptor.annotation
    while (inner := get_args(kind)) and get_origin(kind) is not Literal:  # list[str] | None -> str
        kind = inner[0]
    if inner:
        return " | ".join(str(member) for member in inner)
    if issubclass(kind, Enum):
        return " | ".join(str(member.value) for member in kind)
    low, high = parameter.min, parameter.max
    limits = f" {'' if low is None else low}..{'' if high is None else high}" if (low, high) != (None, None) else ""
    return str(kind.__name__).lower() + limits


def _value(value: Any) -> Any:
    return getattr(value, "value", value)


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in SURFACES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
