"""save, sample, finish: what a running job can be asked for beside its end."""

from __future__ import annotations

import typer

from thornback.cli.options import JobId, Json, Url, connect, find_job
from thornback.cli.output import output_of
from thornback.jobs.wishes import Wish


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (save, sample, finish):
        app.command()(command)


def save(ctx: typer.Context, job: JobId, url: Url = None, json: Json = False) -> None:
    """Ask a running LoRA training for a checkpoint and its file now."""
    _ask(ctx, Wish.SAVE, job, url, "saving after this step")


def sample(ctx: typer.Context, job: JobId, url: Url = None, json: Json = False) -> None:
    """Ask a running LoRA training for pictures now."""
    _ask(ctx, Wish.SAMPLE, job, url, "drawing samples after this step")


def finish(ctx: typer.Context, job: JobId, url: Url = None, json: Json = False) -> None:
    """Ask a running LoRA training to end now and to keep what it has."""
    _ask(ctx, Wish.FINISH, job, url, "ending after this step, with its result kept")


def _ask(ctx: typer.Context, wish: Wish, job: str, url: str | None, note: str) -> None:
    output = output_of(ctx)
    with connect(url) as client:
        answer = client.ask(find_job(client, job).id, wish)
    output.result(answer)
    output.note(f"{answer.job_name}: {note}")
