"""The record and the lock of a home."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from thornback.errors import Conflict
from thornback.node.record import NodeFile, NodeRecord, NodeRunning

RECORD = NodeRecord(node_id="mark", pid=123, url="http://127.0.0.1:8001", log="/log", mode="local")


def test_round_trip_and_update(tmp_path: Path) -> None:
    file = NodeFile(tmp_path / "home")
    assert file.read() is None
    file.write(RECORD)
    assert NodeFile(tmp_path / "home").read() == RECORD
    assert file.update(ready=True).ready
    file.clear()
    file.clear()
    assert file.read() is None
    with pytest.raises(Conflict):
        file.update(ready=True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"node_id": "x"}', '{"unknown": 1}', "null"])
def test_a_record_that_makes_no_sense_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "node.json").write_text(content)
    assert NodeFile(tmp_path).read() is None


def test_a_second_lock_says_where_the_first_runs(tmp_path: Path) -> None:
    first, second = NodeFile(tmp_path), NodeFile(tmp_path)
    assert not first.is_locked()
    first.acquire()
    first.write(RECORD)
    assert second.is_locked()
    with pytest.raises(NodeRunning, match=r"127\.0\.0\.1:8001 .*process 123.*thornback down"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def _hold(home: Path, ready: Event) -> None:
    NodeFile(home).acquire()
    ready.set()
    multiprocessing.Event().wait()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    context: Any = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    file = NodeFile(tmp_path)
    assert file.is_locked()
    process.kill()
    process.join(30)
    assert not file.is_locked()
    file.acquire()
    file.release()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    file = NodeFile(tmp_path / "home")
    assert not file.is_locked()
    assert file.read() is None
    assert not (tmp_path / "home").exists()
