"""`thornback logs --component`: what our own processes have written, on whatever node they run."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from thornback.cli.harmless import harmless
from thornback.cli.output import Output
from thornback.errors import ThornbackError
from thornback.settings import load_settings

if TYPE_CHECKING:
    from thornback.node.component_logs import Place


def show_component(component: str, output: Output, *, node: str | None, tail: int, follow: bool) -> None:
    """Print the lines of each of its processes, in turn or, with `follow`, as they come; Ctrl-C ends that.

    Raises:
        InvalidInput: no such component.
        NotFound: none of its processes lives, there.
        Unavailable: no platform runs here, or Ray does not answer.
    """
    # Ray reads this when it is imported, and ours asks for its token.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    from thornback.node.component_logs import dashboard_of, find_places, read_log

    settings = load_settings()
    dashboard = dashboard_of(settings)
    places = find_places(dashboard, component, namespace=settings.namespace, node=node)

    def lines(place: Place) -> Iterator[str]:
        return read_log(dashboard, place, tail=tail, follow=follow)

    if not follow:
        for place in places:
            _print(output, place, lines(place), named=len(places) > 1)
        return
    ended: queue.SimpleQueue[ThornbackError | None] = queue.SimpleQueue()

    def show(place: Place) -> None:
        try:
            _print(output, place, lines(place), named=len(places) > 1)
        except ThornbackError as error:
            ended.put(error)
        else:
            ended.put(None)

    for place in places:
        threading.Thread(target=show, args=(place,), daemon=True).start()
    errors = [error for _ in places if (error := ended.get()) is not None]
    if errors:
        raise errors[0]


def _print(output: Output, place: Place, lines: Iterator[str], *, named: bool) -> None:
    for line in lines:
        if output.json:
            output.line({"node": place.node_id, "pid": place.pid, "line": line})
        else:
            typer.echo(f"{place.node_id[:8]} {place.pid} | {harmless(line)}" if named else harmless(line))
