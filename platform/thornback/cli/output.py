"""Where a command's words go: results on stdout, everything meant for people only on stderr.

With --json, stdout carries JSON and nothing else.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.text import Text

from thornback.cli.harmless import SafeConsole, harmless_json
from thornback.errors import ThornbackError

# A pipe has no width; tables are not to be cut there as if it were a small terminal.
_PIPE_WIDTH = 160


class Output:
    """The two consoles of one command."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    @property
    def stdout(self) -> Console:
        """For results."""
        return _console(stderr=False)

    @property
    def stderr(self) -> Console:
        """For words about the work."""
        return _console(stderr=True)

    def result(self, value: Any, renderable: RenderableType | None = None) -> None:
        """The result: `value` as JSON, or `renderable` for people."""
        if self.json:
            self.line(value)
        elif renderable is not None:
            self.stdout.print(renderable)

    def line(self, value: Any) -> None:
        """One JSON value on one line of stdout."""
        text = orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z).decode()
        sys.stdout.write(harmless_json(text) + "\n")
        sys.stdout.flush()

    def note(self, text: str | Text, *, style: str = "") -> None:
        """A line for people, shown with --json as well, on stderr."""
        # Text, so that brackets in paths and messages are not read as markup
        self.stderr.print(text if isinstance(text, Text) else Text(text), style=style, soft_wrap=True)

    def error(self, error: ThornbackError) -> None:
        """Why the command ends; with --json also as a value."""
        if self.json:
            self.line({"error": {"code": error.code, "message": error.message, "details": error.details}})
        self.note(Text.assemble(("error: ", "bold red"), error.message))
        for item in error.details.get("errors", []) if len(error.details.get("errors", [])) > 1 else []:
            self.note(f"  {item.get('field')}: {item.get('message')}")
        if log := error.details.get("log"):
            self.note(f"the log is in {log}")


def output_of(ctx: typer.Context) -> Output:
    """The output of this run; --json has set it up."""
    output: Output = ctx.find_root().ensure_object(Output)
    return output


def _console(*, stderr: bool) -> Console:
    console = SafeConsole(stderr=stderr, highlight=False)
    if not console.is_terminal and console.width == 80:
        console.width = _PIPE_WIDTH
    return console


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)
