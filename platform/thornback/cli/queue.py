"""queue list, move, priority, pause, resume: who comes next."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from thornback.cli.format import local_time
from thornback.cli.options import JobId, Json, Url, connect, find_job
from thornback.cli.output import output_of
from thornback.client.client import Client
from thornback.client.models import QueueState
from thornback.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, help="The queue: who comes next.")


def register(root: typer.Typer) -> None:
    """Add these commands."""
    app.command("list")(show)
    for command in (move, priority, pause, resume):
        app.command()(command)
    root.add_typer(app, name="queue")


def show(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """List the jobs that wait, next one first, and what they wait for."""
    with connect(url) as client:
        _tell(ctx, client.queue.get())


def move(
    ctx: typer.Context,
    job: JobId,
    before: Annotated[str | None, typer.Option(help="The job that it is to come before")] = None,
    first: Annotated[bool, typer.Option("--first", help="Before all others of its queue")] = False,
    last: Annotated[bool, typer.Option("--last", help="Behind all others of its queue")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Bring a waiting job to another place, by the priorities that this takes; for admins."""
    if [before is not None, first, last].count(True) != 1:
        raise InvalidInput("say one of --before, --first, --last")
    with connect(url) as client:
        id = find_job(client, job).id
        target = find_job(client, before).id if before is not None else None
        _tell(ctx, client.queue.move(id, before=_head(client, id) if first else target))


def priority(
    ctx: typer.Context,
    job: JobId,
    value: Annotated[
        int, typer.Argument(metavar="PRIORITY", min=-100, max=100, help="-100 to 100; higher comes first")
    ],
    url: Url = None,
    json: Json = False,
) -> None:
    """Give a waiting job another priority."""
    with connect(url) as client:
        changed = client.queue.prioritize(find_job(client, job).id, value)
    output = output_of(ctx)
    output.result(changed)
    output.note(f"{changed.job_name}: priority {changed.priority}")


def pause(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(help="Shown wherever a job waits")] = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Start no more jobs until `queue resume`; what runs goes on. For admins."""
    with connect(url) as client:
        _tell(ctx, client.queue.pause(reason))


def resume(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """Let the queue go on; for admins."""
    with connect(url) as client:
        _tell(ctx, client.queue.resume())


def _head(client: Client, job_id: str) -> str | None:
    """The first of the job's queue; None where the job does not wait, which the server then says."""
    waiting = client.queue.get().waiting
    mine = next((job.queue for job in waiting if job.id == job_id), None)
    return next((job.id for job in waiting if job.queue == mine), None)


def _tell(ctx: typer.Context, state: QueueState) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("queue", "place", "id", "name", "user", "priority", "waits for"):
        table.add_column(column)
    for job in state.waiting:
        place = "" if job.position is None else str(job.position)
        about = (Text(job.job_name), Text(job.user), str(job.priority), Text(job.reason or ""))
        table.add_row(job.queue, place, job.id[-12:], *about)
    hold = state.paused
    why = f": {hold.reason}" if hold and hold.reason else ""
    words = f"paused by {hold.by} since {local_time(hold.at)}{why}" if hold else "going on"
    output_of(ctx).result(state.model_dump(mode="json"), Group(Text(f"The queue is {words}."), table))
