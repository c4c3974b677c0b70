"""Only what carries the mark is ended, wherever it hangs in the tree of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator

import psutil
import pytest

from thornback.node.environment import NODE_ID_VARIABLE
from thornback.node.processes import marked, sweep

Start = Callable[..., "subprocess.Popen[str]"]
SLEEP = "import time; print('ready', flush=True); time.sleep(300)"
# A child in a session of its own whose parent ends at once, as Ray's job drivers are left by a killed node.
ORPHAN = (
    "import subprocess, sys; "
    f"p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True); print(p.pid, flush=True)"
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python code with or without a mark, and wait for its first line."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str, *, mark: str | None) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if name != NODE_ID_VARIABLE}
        if mark is not None:
            env[NODE_ID_VARIABLE] = mark
        process = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        process.args = process.stdout.readline().strip()
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_marked_ones_and_orphans_go_and_others_stay(start: Start) -> None:
    mark, other = uuid.uuid4().hex, uuid.uuid4().hex
    ours, theirs, plain = start(SLEEP, mark=mark), start(SLEEP, mark=other), start(SLEEP, mark=None)
    orphan = int(str(start(ORPHAN, mark=mark).args))
    assert {process.pid for process in marked(mark)} >= {ours.pid, orphan}
    assert sweep(mark) >= 2
    assert ours.poll() is not None
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    assert theirs.poll() is None
    assert plain.poll() is None
    assert marked(mark) == []


def test_sigterm_first_and_sigkill_for_the_stubborn(start: Start) -> None:
    mark = uuid.uuid4().hex
    gentle, stubborn = start(SLEEP, mark=mark), start(STUBBORN, mark=mark)
    assert sweep(mark, grace_s=1.0) == 2
    assert gentle.poll() is not None
    assert stubborn.poll() is not None


def test_never_ends_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = psutil.Process().environ().get(NODE_ID_VARIABLE)
    assert mine is None or psutil.Process() not in marked(mine)
    assert sweep(uuid.uuid4().hex) == 0
