"""submit, list, cancel, retry, delete, metrics, artifacts: one call of the API each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from thornback.cli.format import STYLE, local_time, number, percent, short_id
from thornback.cli.options import JobId, Json, LastJobId, Url, connect, find_job
from thornback.cli.output import Output, output_of
from thornback.cli.spec_file import assign, read_spec
from thornback.cli.watch import follow_job
from thornback.client import Job, MetricRow
from thornback.errors import InvalidInput
from thornback.jobs.status import JobStatus

_WIDE = 120  # columns from which whole ids are shown


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (submit, list_jobs, cancel, retry, delete, metrics, artifacts, download):
        app.command(command.__name__.replace("list_jobs", "list"))(command)


def submit(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="JSON or YAML: job_name, config, … as in POST /jobs", dir_okay=False)
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="job_name")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="E.g. config.epochs=3; can be repeated")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until it ends")] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key makes a job only once")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Start a training job.

    thornback submit job.yaml --set config.epochs=3 --watch
    """
    output = output_of(ctx)
    spec = _specification(file, name, assignments or [], output)
    with connect(url) as client:
        job = client.submit_spec(spec, idempotency_key=idempotency_key)
        if watch:
            output.note(f"job {job.id}")
            raise typer.Exit(follow_job(client, job.id, output))
        output.result(job, Text(job.id))
        output.note(f"watch it: thornback watch {short_id(job.id)}")


def list_jobs(
    ctx: typer.Context,
    status: Annotated[list[JobStatus] | None, typer.Option(help="Can be repeated")] = None,
    name: Annotated[str | None, typer.Option(help="Part of the name")] = None,
    user: Annotated[str | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option()] = None,
    parent: Annotated[str | None, typer.Option(help="Parts of this job; `none`: parts of no other")] = None,
    sort: Annotated[
        str, typer.Option(help="created_at, name, status, progress or priority; with - downwards")
    ] = "-created_at",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many")] = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List jobs, the newest first."""
    output = output_of(ctx)
    filters: dict[str, Any] = {"status": [item.value for item in status] if status else None, "name": name}
    filters |= {"user": user, "kind": kind, "parent": parent, "sort": sort}
    with connect(url) as client:
        jobs = list(client.list(limit=limit, **filters))
    output.result(
        {"jobs": [job.model_dump(mode="json") for job in jobs]}, _job_table(jobs, wide=output.stdout.width >= _WIDE)
    )


def cancel(ctx: typer.Context, job: JobId, url: Url = None, json: Json = False) -> None:
    """Ask a job to stop. Its last checkpoint stays, `retry` goes on from there."""
    output = output_of(ctx)
    with connect(url) as client:
        answer = client.cancel(find_job(client, job).id)
    output.result(answer)
    output.note(f"{answer.job_name}: {'cancelled' if answer.is_final else 'stopping'}")


def retry(
    ctx: typer.Context,
    job: JobId,
    from_checkpoint: Annotated[bool, typer.Option("--from-checkpoint/--from-scratch", help="Where to begin")] = True,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until it ends")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Start a new job like one that ended, going on from its last checkpoint."""
    output = output_of(ctx)
    with connect(url) as client:
        again = client.retry(find_job(client, job).id, from_checkpoint=from_checkpoint)
        if watch:
            output.note(f"job {again.id}")
            raise typer.Exit(follow_job(client, again.id, output))
    output.result(again, Text(again.id))


def delete(
    ctx: typer.Context,
    job: JobId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    url: Url = None,
    json: Json = False,
) -> None:
    """Cancel a job where it runs, and remove its rows and files."""
    output = output_of(ctx)
    with connect(url) as client:
        found = find_job(client, job)
        if not yes:
            if json:
                raise InvalidInput.field("--yes", "is needed together with --json, where nobody can be asked")
            typer.confirm(f"Delete {found.job_name} ({found.id}) with all of its files?", abort=True, err=True)
        status = "deleted" if client.delete(found.id) else "deleting"
    output.result({"id": found.id, "status": status})
    output.note(f"{found.job_name}: {status}")


def metrics(
    ctx: typer.Context,
    job: LastJobId = "last",
    level: Annotated[str, typer.Option(help="epoch, step or all")] = "epoch",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 100,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what a job measured, row by row."""
    output = output_of(ctx)
    with connect(url) as client:
        rows = client.metrics(find_job(client, job).id, limit=limit, level=level)
    output.result({"metrics": [row.model_dump(mode="json") for row in rows]}, _metric_table(rows))


def artifacts(ctx: typer.Context, job: LastJobId = "last", url: Url = None, json: Json = False) -> None:
    """List the files that a job made."""
    output = output_of(ctx)
    with connect(url) as client:
        items = client.artifacts(find_job(client, job).id)
    table = Table("name", "type", "bytes", "where", box=None)
    for item in items:
        table.add_row(item.name, item.type, "" if item.size_bytes is None else f"{item.size_bytes:,}", Text(item.uri))
    output.result({"artifacts": [item.model_dump(mode="json") for item in items]}, table)


def download(
    ctx: typer.Context,
    job: JobId,
    name: Annotated[str, typer.Argument(help="As `thornback artifacts` shows it")],
    target: Annotated[Path, typer.Argument(help="A file or a folder")] = Path(),
    url: Url = None,
    json: Json = False,
) -> None:
    """Fetch a file that a job made, and compare its checksum."""
    output = output_of(ctx)
    with connect(url) as client:
        file = client.download(find_job(client, job).id, name, target)
    output.result({"file": str(file.absolute())}, Text(str(file)))


def _specification(file: Path | None, name: str | None, assignments: list[str], output: Output) -> dict[str, Any]:
    spec = {} if file is None else read_spec(file)
    if name is not None:
        spec["job_name"] = name
    elif file is not None:
        spec.setdefault("job_name", file.stem)
    for assignment in assignments:
        assign(spec, assignment)
    if not spec:
        raise InvalidInput.field("FILE", "give a file, or --name and --set")
    config = spec.get("config")
    if isinstance(config, dict):
        resolve_data(config, output)
    return spec


def resolve_data(config: dict[str, Any], output: Output) -> None:
    """A path that is right in this shell is made absolute: the server has another working folder."""
    for name in ("data", "dataset"):
        data = config.get(name)
        if isinstance(data, str) and "://" not in data and not Path(data).is_absolute() and Path(data).exists():
            config[name] = str(Path(data).absolute())
            output.note(f"{name}: {config[name]}")


def _reached(job: Job) -> str:
    """Epochs, or images of a set; nothing for a run that has neither."""
    if job.images_total:
        return f"{job.images_done or 0}/{job.images_total}"
    return f"{job.current_epoch}/{job.total_epochs}" if job.total_epochs else ""


def _job_table(jobs: list[Job], *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "name", "status", "epoch", "%", "val loss", "val acc", "created"):
        table.add_column(heading, no_wrap=heading != "name", justify="right" if heading in ("epoch", "%") else "left")
    for job in jobs:
        table.add_row(
            job.id if wide else short_id(job.id),
            Text(job.job_name),
            Text(job.status.value, style=STYLE[job.status]),
            _reached(job),
            f"{job.progress_percent:.0f}",
            number(job.val_loss),
            percent(job.val_accuracy),
            local_time(job.created_at),
        )
    return table


def _metric_table(rows: Sequence[MetricRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("epoch", "batch", "phase", "train loss", "val loss", "train acc", "val acc", "lr", "grad norm"):
        table.add_column(heading, no_wrap=True, justify="right")
    for row in rows:
        table.add_row(
            str(row.epoch),
            "" if row.batch is None else str(row.batch),
            row.phase or "",
            number(row.train_loss),
            number(row.val_loss),
            percent(row.train_accuracy),
            percent(row.val_accuracy),
            number(row.learning_rate, digits=2),
            number(row.gradient_norm, digits=3),
        )
    return table
