"""sweep start, show, watch, best, stop, csv: a training tried with many values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from thornback.cli.exits import Exit, exit_of_job
from thornback.cli.format import short_id
from thornback.cli.jobs import resolve_data
from thornback.cli.options import JobId, Json, LastJobId, Url, connect, find_job
from thornback.cli.output import Output, output_of
from thornback.cli.spec_file import assign, read_spec
from thornback.cli.sweep_view import headline, sweep_view, trial_line, trial_table
from thornback.cli.watch import Lost
from thornback.client import Client, Sweep
from thornback.errors import InvalidInput, JobNotFound, NotFound, ThornbackError

app = typer.Typer(no_args_is_help=True, help="Sweeps: a training tried with many values.")

_KIND = "sweep"
_LAST = "last"
Sort = Annotated[str, typer.Option(help="best, value, number, state, reached, seconds or cost; with - downwards")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many trials")]


def register(root: typer.Typer) -> None:
    """Add these commands."""
    for command in (start, show, watch, best, stop, csv):
        app.command(command.__name__)(command)
    root.add_typer(app, name="sweep")


def start(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON or YAML: job_name and config", dir_okay=False)],
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="E.g. config.budget.trials=8")
    ] = None,
    follow: Annotated[bool, typer.Option("--watch", "-w", help="Show it until it ends")] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key makes a sweep only once")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Start a sweep.

    thornback sweep start sweep.yaml --set config.budget.trials=8 --watch
    """
    output = output_of(ctx)
    spec = _specification(file, assignments or [], output)
    with connect(url) as client:
        job = client.submit_spec(spec, idempotency_key=idempotency_key)
        if follow:
            output.note(f"sweep {job.id}")
            raise typer.Exit(follow_sweep(client, job.id, output))
    output.result(job, Text(job.id))
    output.note(f"watch it: thornback sweep watch {short_id(job.id)}")


def show(
    ctx: typer.Context,
    job: LastJobId = _LAST,
    sort: Sort = "best",
    limit: Limit = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what each trial tried and came to, the best first."""
    with connect(url) as client:
        found = client.sweeps.get(_find(client, job), sort=sort, limit=limit)
    output = output_of(ctx)
    output.result(found, sweep_view(found))
    if found.total > len(found.trials):
        output.note(f"and {found.total - len(found.trials)} more: --limit {found.total}")


def watch(ctx: typer.Context, job: LastJobId = _LAST, limit: Limit = 20, url: Url = None, json: Json = False) -> None:
    """Show a sweep live until it ends; Ctrl-C ends the showing only. With --json: one object a line."""
    with connect(url) as client:
        raise typer.Exit(follow_sweep(client, _find(client, job), output_of(ctx), limit=limit))


def best(
    ctx: typer.Context,
    job: LastJobId = _LAST,
    publish: Annotated[bool, typer.Option("--publish", help="Make its model a version")] = False,
    model: Annotated[
        str | None, typer.Option(help="Publish: as which model [default: as the sweep says, or its name]")
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show the best trial, or with --publish keep its model as a version."""
    output = output_of(ctx)
    if model is not None and not publish:
        raise InvalidInput.field("--model", "goes with --publish")
    with connect(url) as client:
        sweep_id = _find(client, job)
        if publish:
            version = client.sweeps.publish(sweep_id, model=model)
            output.result(version, Text(f"{version.model} v{version.version}"))
            return
        found = client.sweeps.get(sweep_id, limit=0)
    if found.best is None:
        raise NotFound(f"no trial of {found.job_name} has measured {found.metric} yet")
    output.result(found.best, trial_table(found, [found.best]))


def stop(ctx: typer.Context, job: JobId, url: Url = None, json: Json = False) -> None:
    """End a sweep and its trials; what they made stays."""
    output = output_of(ctx)
    with connect(url) as client:
        answer = client.cancel(_find(client, job))
    output.result(answer)
    output.note(f"{answer.job_name}: {'cancelled' if answer.is_final else 'stopping'}")


def csv(
    ctx: typer.Context,
    job: LastJobId = _LAST,
    file: Annotated[Path | None, typer.Argument(help="Left out: to stdout", dir_okay=False)] = None,
    sort: Sort = "number",
    url: Url = None,
) -> None:
    """All trials as a table for spreadsheets."""
    with connect(url) as client:
        table = client.sweeps.csv(_find(client, job), sort=sort)
    if file is None:
        typer.echo(table, nl=False)
        return
    try:
        file.write_text(table, encoding="utf-8", newline="")
    except OSError as error:
        raise InvalidInput.field(str(file), f"cannot be written: {error.strerror}") from None
    output_of(ctx).note(str(file))


def follow_sweep(client: Client, job_id: str, output: Output, *, limit: int = 20) -> Exit:
    """Show a sweep until it ends, and say how it did; Ctrl-C ends the showing only."""
    try:
        if output.json:
            found = _as_json(client, job_id, output, limit)
        elif output.stderr.is_terminal:
            found = _as_view(client, job_id, output, limit)
        else:
            found = _as_lines(client, job_id, output)
    except KeyboardInterrupt:
        output.note(f"the sweep goes on; see it again: thornback sweep watch {short_id(job_id)}")
        return Exit.INTERRUPTED
    if not output.json:
        output.note(headline(found))
        if found.best is not None:
            output.note(trial_line(found, found.best))
    return exit_of_job(found.status)


def _as_json(client: Client, job_id: str, output: Output, limit: int) -> Sweep:
    for found in client.sweeps.watch(job_id, limit=limit, on_lost=Lost(output)):
        output.line(found)
    return found


def _as_view(client: Client, job_id: str, output: Output, limit: int) -> Sweep:
    with Live(console=output.stderr, auto_refresh=False) as live:

        def lost(error: ThornbackError, delay: float) -> None:
            live.update(Text(f"no connection ({error}); trying again in {delay:.0f} s"), refresh=True)

        for found in client.sweeps.watch(job_id, limit=limit, on_lost=lost):
            live.update(sweep_view(found), refresh=True)
    return found


def _as_lines(client: Client, job_id: str, output: Output) -> Sweep:
    told: dict[int, str] = {}
    stage: str | None = None
    for found in client.sweeps.watch(job_id, limit=1000, on_lost=Lost(output)):
        for row in sorted(found.trials, key=lambda row: row.number):
            if told.get(row.number) != row.state and row.state != "waiting":
                output.note(trial_line(found, row))
            told[row.number] = row.state
        if found.stage not in (None, stage) and not found.status.is_final:
            output.note(str(found.stage))
        stage = found.stage
    return found


def _find(client: Client, text: str) -> str:
    """The id of the sweep that `text` means; `last` is the newest sweep, not the newest job."""
    if text != _LAST:
        return find_job(client, text).id
    newest = next(iter(client.list(limit=1, kind=_KIND)), None)
    if newest is None:
        raise JobNotFound(f"of kind {_KIND}")
    return newest.id


def _specification(file: Path, assignments: list[str], output: Output) -> dict[str, Any]:
    spec = {"kind": _KIND, "job_name": file.stem, **read_spec(file)}
    if spec["kind"] != _KIND:
        raise InvalidInput.field("kind", f"{file} is a job of kind {spec['kind']}: thornback submit {file}")
    for assignment in assignments:
        assign(spec, assignment)
    config = spec.get("config")
    trial = config.get("trial") if isinstance(config, dict) else None
    inner = trial.get("config") if isinstance(trial, dict) else None
    if isinstance(inner, dict):
        resolve_data(inner, output)
    return spec
