"""simulate: Replicate and fal on this machine, to try everything without spending money."""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thornback.cli.options import Json
from thornback.cli.output import Output, output_of
from thornback.errors import Conflict, InvalidInput
from thornback.settings import load_settings

if TYPE_CHECKING:
    from thornback.simulator.orders import Order
    from thornback.simulator.server import SimulatorServer
    from thornback.simulator.webhooks import Delivery


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("simulate")(simulate)


def simulate(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Where it listens")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", help="0: any that is free", min=0, max=65_535)] = 8099,
    speed: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="So many times as quick as the true ones: 60 is an hour a minute")
    ] = 20.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND[:TIMES][@CALL]", help="Something that goes wrong, e.g. lost_answer@fal.*"),
    ] = None,
    json: Json = False,
) -> None:
    """Be Replicate and fal, until Ctrl-C: trainings and pictures are made up, webhooks and files are real.

    Its first lines, on stdout, are the settings that point a Thornback here. More faults while it runs:
    POST {"kind": …, "on": …, "times": …} to /simulator/faults; a GET there lists the kinds.
    """
    output = output_of(ctx)
    faults = [read_fault(text) for text in fault or ()]
    server = _server(host, port, speed)
    for options in faults:
        try:
            server.faults.add(**options)
        except ValueError as error:
            raise InvalidInput.field("--fault", str(error)) from None
    _tell_orders(server, output)
    with _until_signal() as stopped, _serving(server, host, port):
        _tell_settings(server, output)
        output.note(f"Replicate and fal at {server.url}, {speed:g} times as quick. Ctrl-C ends them.")
        stopped.wait()
    output.note(summary(tuple(server.orders), server.deliveries))


def read_fault(text: str) -> dict[str, Any]:
    """KIND[:TIMES][@CALL] as the arguments of `Faults.add`. Raises InvalidInput."""
    head, _, on = text.partition("@")
    kind, colon, times = head.partition(":")
    if colon and not (times.isdigit() and int(times)):
        raise InvalidInput.field("--fault", f"{times!r} in {text!r} is no number of times")
    return {"kind": kind, "on": on or None, **({"times": int(times)} if colon else {})}


def summary(orders: Sequence[Order], deliveries: Sequence[Delivery]) -> str:
    """What became of it all, in one line."""
    states = Counter(str(order.status) for order in orders)
    ends = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    accepted = sum(delivery.accepted for delivery in deliveries)
    return (
        f"orders {len(orders)}{f' ({ends})' if ends else ''}, "
        f"webhooks {accepted} of {len(deliveries)} accepted, spent 0 USD"
    )


def _server(host: str, port: int, speed: float) -> SimulatorServer:
    from thornback.simulator.scenario import Scenario  # Starlette and uvicorn: a third of a second of imports
    from thornback.simulator.server import SimulatorServer

    return SimulatorServer(Scenario(speed=speed), host=host, port=port)


@contextlib.contextmanager
def _serving(server: SimulatorServer, host: str, port: int) -> Iterator[None]:
    try:
        server.start()
    except OSError as error:
        raise Conflict(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port") from None
    try:
        yield
    finally:
        server.stop()


def _tell_settings(server: SimulatorServer, output: Output) -> None:
    """Lines for a shell on stdout; with --json one object."""
    settings = load_settings()
    public_url = settings.public_url or f"http://{settings.host}:{settings.port}"
    allow = ",".join(filter(None, [settings.fetch_allow, server.environment["THORNBACK_FETCH_ALLOW"]]))
    told = {"THORNBACK_PUBLIC_URL": public_url, "THORNBACK_FETCH_ALLOW": allow}
    variables: Mapping[str, str] = {**server.environment, **told}
    if output.json:
        output.line({"url": server.url, "environment": variables})
        return
    for name, value in variables.items():
        output.stdout.print(f"export {name}={shlex.quote(value)}", soft_wrap=True, markup=False)


def _tell_orders(server: SimulatorServer, output: Output) -> None:
    def told(order: Order) -> None:
        why = f": {order.error}" if order.error else ""
        output.note(f"{order.provider} {order.kind} {order.id} {order.endpoint} {order.status}{why}")

    def sent(delivery: Delivery) -> None:
        answer = delivery.error if delivery.answer is None else delivery.answer
        again = f" (attempt {delivery.attempt})" if delivery.attempt > 1 else ""
        fault = f" [{delivery.fault}]" if delivery.fault else ""
        output.note(f"webhook {delivery.event} of {delivery.order_id}: {answer}{again}{fault}")

    server.simulator.on_order = told
    server.simulator.webhooks.on_delivery = sent


@contextlib.contextmanager
def _until_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
