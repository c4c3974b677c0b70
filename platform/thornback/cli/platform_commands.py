"""up, down, status: the platform of this machine."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from thornback.cli.exits import Exit
from thornback.cli.options import Json, Url, server_url
from thornback.cli.output import Output, output_of
from thornback.client import Client
from thornback.errors import ThornbackError
from thornback.jobs.status import JobStatus
from thornback.node.process import NodeProcess, stop_running
from thornback.node.record import NodeFile, NodeRecord
from thornback.settings import Settings, load_settings

Host = Annotated[
    str | None, typer.Option("--host", help="Where the API listens [default: THORNBACK_HOST or 127.0.0.1]")
]
Port = Annotated[int | None, typer.Option("--port", "-p", help="[default: THORNBACK_PORT or 8001]", min=1, max=65_535)]
RayAddress = Annotated[
    str | None, typer.Option("--ray-address", help="Use this cluster (`auto`, host:port) and start no Ray here")
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (up, down, status):
        app.command(command.__name__)(command)


def up(
    ctx: typer.Context,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Go on in the background")] = False,
    host: Host = None,
    port: Port = None,
    ray_address: RayAddress = None,
    no_api: Annotated[
        bool, typer.Option("--no-api", help="On a cluster: leave the API to who deploys serve.yaml (KubeRay)")
    ] = False,
    json: Json = False,
) -> None:
    """Start the platform: Ray, the database, the API. Ctrl-C stops all of it.

    Jobs that ran when it was stopped are taken up again. On a cluster (--ray-address) it deploys and returns.
    """
    output = output_of(ctx)
    settings = with_options(load_settings(), host=host, port=port, ray_address=ray_address)
    if no_api and settings.ray_address is None:
        raise typer.BadParameter("it is for a cluster; name one with --ray-address", param_hint="--no-api")
    node = NodeProcess(settings, with_api=not no_api)
    with ending(node, output, keep=detach or settings.ray_address is not None) as hold:
        record = start(node, output, hold=not hold.keep)
        hold.started = True
        output.result(record.to_dict())
        tell_addresses(record, output)
        tell_admin(node.admin_key, output)
        if hold.keep:
            output.note("stop it with: thornback down")
            return
        output.note("Ctrl-C stops it.")
        raise typer.Exit(_held(node, output))


def down(ctx: typer.Context, json: Json = False) -> None:
    """Stop the platform that `up` started; jobs that run go on at the next `up`."""
    output = output_of(ctx)
    settings = load_settings()
    record = stop_running(settings.home, settings)
    output.result({"stopped": record is not None, "url": record.url if record else None})
    output.note(f"stopped the node at {record.url}" if record else f"no node runs in {settings.home}")


def status(ctx: typer.Context, url: Url = None, json: Json = False) -> None:
    """Is it running and well, and what waits: node, health, queue."""
    output = output_of(ctx)
    settings = load_settings()
    file = NodeFile(settings.home)
    record = file.read()
    node = _node_state(file, record)
    address = server_url(settings, url)
    with Client(address, api_key=settings.api_key) as client:
        try:
            health = client.health()
            counts = {item.value: client.page(limit=1, status=item.value).total for item in JobStatus}
        except ThornbackError as error:
            output.result({"url": address, "node": node, "ready": False, "error": error.message})
            output.note(f"node: {node['state']}")
            output.note(f"API: {error.message}", style="red")
            raise typer.Exit(Exit.UNREACHABLE) from None
    value = {"url": address, "node": node, "ready": health.ready, "health": health, "jobs": counts}
    output.result(value, _status_table(address, node, health.model_dump(), counts))
    if not health.ready:
        raise typer.Exit(Exit.UNREACHABLE)


def with_options(settings: Settings, **options: Any) -> Settings:
    """Settings with the options that were given; validated like all others."""
    given = {name: value for name, value in options.items() if value is not None}
    return load_settings(**{**settings.model_dump(), **given}) if given else settings


def start(node: NodeProcess, output: Output, *, hold: bool) -> NodeRecord:
    """Start a node and say what it does meanwhile."""
    console = output.stderr
    if not console.is_terminal:
        record = node.start(hold=hold, on_phase=output.note)
    else:
        with console.status("starting") as spinner:
            record = node.start(hold=hold, on_phase=lambda phase: spinner.update(Text(phase)))
    if node.swept:
        output.note(f"ended {node.swept} processes that a crashed node had left")
    return record


def tell_addresses(record: NodeRecord, output: Output) -> None:
    """Where to look."""
    output.note(f"page and API   {record.url}")
    output.note(f"Ray dashboard  {record.dashboard_url}")
    output.note(f"log            {record.log}")
    if record.session_dir:
        output.note(f"Ray's logs     {record.session_dir}/logs")


def tell_admin(key: str | None, output: Output) -> None:
    """The first admin's key, which nothing else shows."""
    if key is not None:
        output.note("")
        output.note("Access control is on. The key of the first user, `admin`, is shown this once:")
        output.note(f"export THORNBACK_API_KEY={key}", style="bold")


class Hold:
    """Whether the node outlives this command."""

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.started = False


@contextlib.contextmanager
def ending(node: NodeProcess, output: Output, *, keep: bool) -> Iterator[Hold]:
    """However the block ends, a node that is not to be kept is gone afterwards.

    SIGTERM and a closed terminal count as Ctrl-C. A second Ctrl-C does not wait any longer.
    """
    hold = Hold(keep=keep)
    _as_ctrl_c(signal.SIGTERM, signal.SIGHUP)
    try:
        yield hold
    finally:
        if not (hold.keep and hold.started):
            _stop(node, output)


def _stop(node: NodeProcess, output: Output) -> None:
    try:
        with _stopping(output.stderr):
            node.stop()
    except KeyboardInterrupt:
        node.kill()


@contextlib.contextmanager
def _stopping(console: Console) -> Iterator[None]:
    if console.is_terminal:
        with console.status("stopping"):
            yield
    else:
        yield


def _as_ctrl_c(*numbers: signal.Signals) -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, interrupt)


def _held(node: NodeProcess, output: Output) -> Exit:
    try:
        code = node.wait()
    except KeyboardInterrupt:
        output.note("stopping; jobs that run go on at the next `thornback up`")
        return Exit.OK
    if code == 0:
        output.note("the node was stopped from elsewhere")
        return Exit.OK
    output.note(f"the node ended unexpectedly (exit code {code}); see {node.log}", style="red")
    return Exit.FAILED


def _node_state(file: NodeFile, record: NodeRecord | None) -> dict[str, Any]:
    if file.is_locked():
        state = "running" if record is not None and record.ready else "starting"
    elif record is not None:
        state = "in a cluster" if record.pid == 0 else "crashed; the next `thornback up` cleans up"
    else:
        state = "not running here"
    return {"state": state, **(record.to_dict() if record else {})}


def _status_table(address: str, node: dict[str, Any], health: dict[str, Any], counts: dict[str, int]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("node", Text(f"{node['state']}" + (f", process {node['pid']}" if node.get("pid") else "")))
    table.add_row("API", Text(address + (f", version {health['version']}" if health.get("version") else "")))
    for name, check in (health.get("checks") or {}).items():
        words = "ok" if check["ok"] else str(check["error"])
        table.add_row(name, Text(f"{words}, {check['took_ms']:.0f} ms", style="" if check["ok"] else "red"))
    table.add_row("jobs", Text(", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"))
    if node.get("dashboard_url"):
        table.add_row("dashboard", Text(str(node["dashboard_url"])))
    if node.get("log"):
        table.add_row("log", Text(str(node["log"])))
    return table
