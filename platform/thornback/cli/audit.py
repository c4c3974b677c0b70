"""audit list, export, verify: who did what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from thornback.access.audit import AuditEntry, Verdict, from_json, read_head, to_json
from thornback.access.audit import verify as verify_chain
from thornback.cli.exits import Exit
from thornback.cli.format import local_time
from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of
from thornback.errors import DataError

app = typer.Typer(no_args_is_help=True, help="Who did what; for admins.")

Head = Annotated[
    str | None, typer.Option(metavar="SEQ:HASH", help="As an earlier verify printed it: it has to be there")
]


def register(root: typer.Typer) -> None:
    """Add these commands."""
    app.command("list")(list_)
    for command in (export, verify):
        app.command(command.__name__)(command)
    root.add_typer(app, name="audit")


def list_(
    ctx: typer.Context,
    actor: Annotated[str | None, typer.Option(help="Only what this user did")] = None,
    action: Annotated[str | None, typer.Option(help="job.cancel, or `job.` for all of jobs")] = None,
    target: Annotated[str | None, typer.Option(help="Only what was done to this: a job's id, a user …")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many")] = 50,
    url: Url = None,
    json: Json = False,
) -> None:
    """List what was done, the newest first."""
    with connect(url) as client:
        entries = client.audit.list(actor=actor, action=action, target=target, limit=limit)
    table = Table(box=None, pad_edge=False)
    for column in ("seq", "at", "who", "did", "to", ""):
        table.add_column(column)
    for entry in entries:
        detail = ", ".join(f"{name}: {value}" for name, value in entry.detail.items())
        words = (entry.actor, entry.action, entry.target, detail)
        table.add_row(str(entry.seq), local_time(entry.at), *map(Text, words))
    output_of(ctx).result({"entries": [to_json(entry) for entry in entries]}, table)


def export(
    ctx: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Or a folder: audit.jsonl in it")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Write the whole log as lines of JSON."""
    with connect(url) as client:
        file = client.audit.export(target)
    output_of(ctx).result({"path": str(file)}, Text(str(file)))


def verify(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="An export; left out: the server's log")] = None,
    head: Head = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Compute every hash anew; ends with 1 where the log is not as it was written."""
    if file is not None:
        found = verify_chain(_entries(file), newest=None if head is None else read_head(head))
    else:
        with connect(url) as client:
            told = client.audit.verify(head=head)
        found = Verdict(told.entries, read_head(told.head), told.problem)
    value = {"ok": found.problem is None, "entries": found.entries, "head": str(found.head), "problem": found.problem}
    words = found.problem or f"{found.entries} entries are as they were written"
    output_of(ctx).result(value, Text(f"{words}\nhead {found.head}"))
    if found.problem is not None:
        raise typer.Exit(Exit.FAILED)


def _entries(file: Path) -> Iterator[AuditEntry]:
    try:
        with file.open("rb") as lines:
            for line in lines:
                yield from_json(orjson.loads(line))
    except (OSError, orjson.JSONDecodeError) as error:
        raise DataError(f"{file} is no export of an audit log: {error}") from None
