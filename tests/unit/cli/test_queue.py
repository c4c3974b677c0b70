"""thornback queue … and client.queue against the real API."""

from __future__ import annotations

import json
from collections.abc import Callable

from typer.testing import Result

from tests.unit.cli.conftest import LiveApi
from thornback.cli.exits import Exit
from thornback.metrics.port import QueuePlace

Run = Callable[..., Result]


def test_listed_moved_paused_and_resumed(live: LiveApi, run_cli: Run) -> None:
    one, two = live.create("one"), live.create("two")
    places = {
        job.id: QueuePlace(position=number, reason="waiting for 1 GPU") for number, job in enumerate((one, two), 1)
    }
    live.run(live.platform.recorder.set_queue(places))
    shown = run_cli("queue", "list").stdout
    assert shown.startswith("The queue is going on.")
    assert shown.index("one") < shown.index("two")

    moved = json.loads(run_cli("queue", "move", two.id[-12:], "--first", "--json").stdout)
    assert [(job["job_name"], job["priority"]) for job in moved["waiting"]] == [("two", 1), ("one", 0)]
    back = json.loads(run_cli("queue", "move", two.id, "--last", "--json").stdout)
    assert {job["job_name"]: job["priority"] for job in back["waiting"]}["two"] == -1
    assert run_cli("queue", "move", two.id).exit_code == Exit.USAGE
    assert json.loads(run_cli("queue", "priority", one.id, "--json", "--", "-5").stdout)["priority"] == -5

    assert "paused by local" in run_cli("queue", "pause", "--reason", "a node is replaced").stdout
    assert "a node is replaced" in run_cli("queue", "list").stdout
    assert "going on" in run_cli("queue", "resume").stdout
