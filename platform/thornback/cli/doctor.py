"""doctor: what is missing on this machine and how to mend it."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.exits import Exit
from thornback.cli.options import Json
from thornback.cli.output import output_of
from thornback.node.checks import Check, Level
from thornback.node.checkup import run_checks
from thornback.settings import load_settings

_STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("doctor")(doctor)


def doctor(ctx: typer.Context, json: Json = False) -> None:
    """Look at ports, disk, memory, GPUs, versions, limits, Ray, database and storage. Exit code 1 on an error."""
    output = output_of(ctx)
    checks = run_checks(load_settings())
    worst = max(check.level for check in checks)
    value = {"ok": worst is not Level.ERROR, "checks": [check.to_dict() for check in checks]}
    output.result(value, _table(checks))
    if worst is Level.ERROR:
        raise typer.Exit(Exit.FAILED)


def _table(checks: list[Check]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        table.add_row(Text(check.level.label, style=_STYLE[check.level]), Text(check.name), Text(check.found))
        if check.mend:
            table.add_row("", "", Text(f"mend: {check.mend}", style="italic"))
    return table
