"""watch against the real API: what it shows, that it survives, and what it tells the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.fixtures.api import FIRST, Reports, now
from tests.unit.cli.conftest import LiveApi
from thornback.client import Client
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason

Run = Callable[..., Result]


def test_plain_lines_to_the_end(live: LiveApi, run_cli: Run) -> None:
    job = live.create(epochs=2)
    reports = Reports(job.id)
    thread = live.meanwhile(
        lambda: live.record(reports.started(), reports.log("hello from rank 0"), reports.epoch(1, val_loss=0.5)),
        lambda: live.record(reports.epoch(2, val_loss=0.25), reports.succeeded()),
    )
    result = run_cli("watch", job.id, "--log")
    thread.join()
    assert result.exit_code == 0
    assert result.stdout == ""
    lines = [line.rstrip() for line in result.stderr.splitlines()]
    assert lines[0].startswith("queued")
    assert "epoch 1/2  val loss 0.5" in lines
    assert "epoch 2/2  val loss 0.25" in lines
    assert "  | hello from rank 0" in lines
    assert lines[-1] == "completed"


@pytest.mark.parametrize(("kind", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 6)])
def test_exit_codes_say_how_it_ended(live: LiveApi, run_cli: Run, kind: str, code: int) -> None:
    job = live.create()
    factory = EventFactory(job.id)
    end = {
        "succeeded": factory.succeeded(FIRST, at=now()),
        "failed": factory.failed(FIRST, reason=FailureReason.OUT_OF_MEMORY, message="CUDA out of memory", at=now()),
        "cancelled": factory.cancelled(at=now()),
    }[kind]
    live.record(end)
    result = run_cli("watch", job.id)
    assert result.exit_code == code
    assert ("CUDA out of memory" in result.stderr) == (kind == "failed")


def test_json_is_one_object_a_line(live: LiveApi, run_cli: Run) -> None:
    job = live.create()
    reports = Reports(job.id)
    thread = live.meanwhile(lambda: live.record(reports.started(), reports.epoch(1), reports.succeeded()))
    result = run_cli("watch", "--json")
    thread.join()
    updates = [json.loads(line) for line in result.stdout.splitlines()]
    assert updates[0]["job"]["status"] == "queued"
    assert updates[-1]["job"]["status"] == "completed"
    kinds = [update["event"]["kind"] for update in updates if update["event"]]
    assert kinds == ["started", "metrics", "succeeded"]


def test_survives_a_restart_of_the_server_and_misses_nothing(live: LiveApi, run_cli: Run) -> None:
    job = live.create(epochs=4)
    reports = Reports(job.id)
    thread = live.meanwhile(
        lambda: live.record(reports.started(), reports.epoch(1)),
        live.stop_server,
        lambda: live.record(reports.epoch(2)),
        lambda: live.record(reports.epoch(3)),
        live.start_server,
        lambda: live.record(reports.epoch(4), reports.succeeded()),
    )
    result = run_cli("watch", job.id, "--json")
    thread.join()
    assert result.exit_code == 0
    updates = [json.loads(line) for line in result.stdout.splitlines()]
    epochs = [
        item["event"]["data"]["epoch"] for item in updates if item["event"] and item["event"]["kind"] == "metrics"
    ]
    assert epochs == [1, 2, 3, 4]
    assert result.stderr.count("no connection") <= 1


def test_ctrl_c_leaves_the_job_alone_and_says_so(live: LiveApi, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job = live.create()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thornback.client.Client.watch", interrupt)
    result = run_cli("watch", job.id)
    assert result.exit_code == 130
    assert f"thornback watch {job.id[-12:]}" in result.stderr
    with Client(live.url) as client:
        assert not client.get(job.id).cancel_requested


def test_submit_and_watch(live: LiveApi, run_cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("job_name: A job\nconfig: {epochs: 1, pretrained: false}\n")

    def end_it() -> None:
        with Client(live.url) as client:
            [job] = client.list()
        live.record(Reports(job.id).started(), Reports(job.id).succeeded())

    thread = live.meanwhile(end_it)
    result = run_cli("submit", file, "--watch")
    thread.join()
    assert result.exit_code == 0
    assert "completed" in result.stderr


def test_follow_logs_until_the_job_ends(live: LiveApi, run_cli: Run) -> None:
    job = live.create()
    reports = Reports(job.id)
    live.record(reports.started(), reports.log("before"))
    thread = live.meanwhile(lambda: live.record(reports.log("after")), lambda: live.record(reports.succeeded()))
    result = run_cli("logs", job.id, "--follow")
    thread.join()
    assert result.stdout == "before\nafter\n"
