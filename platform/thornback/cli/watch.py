"""watch and logs: a job as it goes on. Ctrl-C ends the watching, never the job."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.live import Live

from thornback.cli.component_logs import show_component
from thornback.cli.exits import Exit, exit_of_job
from thornback.cli.format import short_id
from thornback.cli.harmless import harmless
from thornback.cli.options import Json, LastJobId, Url, connect, find_job
from thornback.cli.output import Output, output_of
from thornback.cli.view import JobView, epoch_line
from thornback.client import Client, Job, Update
from thornback.errors import InvalidInput, ThornbackError
from thornback.jobs.status import JobStatus

_FRAMES_PER_S = 4
_PLACE_S = 2.0  # how often the place in line of a waiting job is asked for


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("watch")(watch)
    app.command("logs")(logs)


def watch(
    ctx: typer.Context,
    job: LastJobId = "last",
    log: Annotated[
        bool | None,
        typer.Option("--log/--no-log", help="With what it prints [default: on a terminal]", show_default=False),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show a job live until it ends; goes on by itself after a restart of the server.

    With --json: one object a line, {"job": …, "event": …}.
    """
    output = output_of(ctx)
    with connect(url) as client:
        raise typer.Exit(follow_job(client, find_job(client, job).id, output, log=log))


def logs(
    ctx: typer.Context,
    job: LastJobId = "last",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until the job ends")] = False,
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, help="Begin so many lines before the end")] = 1000,
    component: Annotated[
        str | None,
        typer.Option(
            "--component",
            "-c",
            help="Not a job's, but those of ours: recorder, dispatcher, notify, provider, api, live; on the head node",
            show_default=False,
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option("--node", help="Only what runs there: an address, or how its id begins", show_default=False),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what a job printed on all of its nodes, or what our own processes log."""
    output = output_of(ctx)
    if component is not None:
        show_component(component, output, node=node, tail=tail, follow=follow)
        return
    if node is not None:
        raise InvalidInput.field("node", "goes with --component; lines of a job are of all its nodes")
    with connect(url) as client:
        for chunk in client.logs(find_job(client, job).id, tail=tail, follow=follow):
            if json:
                output.line(chunk)
            else:
                for line in chunk.lines:
                    typer.echo(harmless(line))


def follow_job(client: Client, job_id: str, output: Output, *, log: bool | None = None) -> Exit:
    """Show a job until it ends, and say how it did; Ctrl-C ends the showing only."""
    try:
        job = _as_json(client, job_id, output) if output.json else show_job(client, job_id, output, log=log)
    except KeyboardInterrupt:
        output.note(f"the job goes on; see it again: thornback watch {short_id(job_id)}")
        return Exit.INTERRUPTED
    tell_end(job, output)
    return exit_of_job(job.status)


def show_job(client: Client, job_id: str, output: Output, *, log: bool | None = None) -> Job:
    """Show a job for people until it ends: a live view on a terminal, plain lines elsewhere.

    `log`: with what it prints; by default in the live view only, where it has a place of its own.
    """
    if output.stderr.is_terminal:
        return _as_view(client, job_id, output, log=log is not False)
    return _as_lines(client, job_id, output, log=bool(log))


def _as_json(client: Client, job_id: str, output: Output) -> Job:
    job = None
    for update in client.watch(job_id, on_lost=Lost(output)):
        job = update.job
        output.line(update)
    return job or client.get(job_id)


def _as_view(client: Client, job_id: str, output: Output, *, log: bool) -> Job:
    start = client.detail(job_id)
    view = JobView(start)
    if log:
        _fill_log(view, client, job_id)

    def lost(error: ThornbackError, delay: float) -> None:
        view.notice = f"no connection ({error}); trying again in {delay:.0f} s"

    # Rich draws from a thread of its own, so that the time left runs while no update comes.
    with _asking_for_its_place(view, client), Live(view, console=output.stderr, refresh_per_second=_FRAMES_PER_S):
        for update in client.watch(job_id, start=start, on_lost=lost):
            view.apply(update)
    return view.job


@contextlib.contextmanager
def _asking_for_its_place(view: JobView, client: Client) -> Iterator[None]:
    done = threading.Event()

    def ask() -> None:
        while view.job.status.is_waiting and not done.wait(_PLACE_S):
            with contextlib.suppress(ThornbackError):  # the stream tells of a server that is away
                view.waiting = client.get(view.job.id)

    thread = threading.Thread(target=ask, name="place-in-line", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _fill_log(view: JobView, client: Client, job_id: str) -> None:
    # The end of the log is a courtesy; the view also works without.
    with contextlib.suppress(ThornbackError):
        for chunk in client.logs(job_id, tail=view.log.maxlen or 0):
            view.log.extend(chunk.lines)


def _as_lines(client: Client, job_id: str, output: Output, *, log: bool) -> Job:
    start = client.detail(job_id)
    view = JobView(start)
    said = ""
    for update in client.watch(job_id, start=start, on_lost=Lost(output)):
        row = view.apply(update)
        if row is not None:
            output.note(epoch_line(update.job, row))
        elif log:
            _echo_log(update, output)
        now = _worth_a_line(update.job)
        if now != said and not update.job.is_final:
            said = now
            output.note(view.headline())
    return view.job


def _worth_a_line(job: Job) -> str:
    """Changes where a line is due: not with the parts that change all the time."""
    if job.status is not JobStatus.RUNNING:
        return job.status.value
    # Epochs have lines of their own; without them a tenth of the way is due one.
    tenths = "" if job.total_epochs else f"{job.progress_percent // 10:g}"
    return f"{job.stage} {tenths}"


def _echo_log(update: Update, output: Output) -> None:
    if update.event is not None and update.event.kind == "log":
        for line in update.event.data["lines"]:
            output.note(f"  | {line}")


class Lost:
    """Tells once that the connection is lost, not at every try."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told = False

    def __call__(self, error: ThornbackError, delay: float) -> None:
        """See `Client.watch`."""
        if not self._told:
            self._output.note(f"no connection ({error}); trying again", style="yellow")
        self._told = True


def tell_end(job: Job, output: Output) -> None:
    """How it ended, and what to do next."""
    if job.status is JobStatus.FAILED:
        output.note(f"failed: {job.error_message}", style="red")
        output.note(f"all of its output: thornback logs {short_id(job.id)}")
    elif job.status is JobStatus.CANCELLED:
        output.note(f"cancelled; go on from its checkpoint: thornback retry {short_id(job.id)}")
    else:
        output.note("completed", style="green")
