"""The command line as people start it: processes of its own, signals, and a look at what is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from thornback.client import Client
from thornback.node.ports import is_free
from thornback.node.processes import marked, sweep
from thornback.node.ray_folder import ray_folder
from thornback.node.record import NodeFile

START_S = 180.0  # on a busy machine
END_S = 60.0


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(condition: Callable[[], bool], *, within_s: float = END_S, what: str = "it") -> None:
    """Wait until a condition holds; fail where it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {within_s} s"
        threading.Event().wait(0.1)


class Running:
    """A command that runs; its lines are collected as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    @property
    def said(self) -> str:
        """All of stderr so far."""
        return "".join(self.lines)

    def await_line(self, text: str, *, within_s: float = START_S) -> None:
        """Wait until it says so."""

        def said_or_ended() -> bool:
            return text in self.said or self.process.poll() is not None

        eventually(said_or_ended, within_s=within_s, what=f"{text!r}")
        assert text in self.said, self.said

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout_s: float = END_S) -> int:
        """The exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(END_S)
        return code


class NodeCli:
    """`thornback …` in one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.settings: dict[str, str] = {}  # more of them, by name
        self._started: list[Running] = []

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Client:
        """Of the API."""
        return Client(self.url)

    def node_id(self, home: Path | None = None) -> str:
        """The mark of the node that is in the record; waits until there is one."""
        file = NodeFile(home or self.home)
        eventually(lambda: file.read() is not None, what="a record")
        record = file.read()
        assert record is not None
        return record.node_id

    def start(self, *arguments: str) -> Running:
        """Start a command."""
        process = subprocess.Popen(
            [sys.executable, "-m", "thornback.cli.main", *arguments],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(process)
        self._started.append(running)
        return running

    def run(self, *arguments: str, code: int = 0) -> Any:
        """Run a command to its end; its JSON where it was asked for."""
        done = subprocess.run(
            [sys.executable, "-m", "thornback.cli.main", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=START_S + END_S,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stderr

    def assert_nothing_left(self, node_id: str) -> None:
        """No process with the mark, and the port is free."""
        left = [f"{process.pid} {_command(process)}" for process in marked(node_id)]
        assert left == []
        assert is_free("127.0.0.1", self.port)

    def close(self) -> None:
        """End whatever a failed test left."""
        for running in self._started:
            running.process.kill()
            running.wait()
            assert running.process.stdout is not None
            running.process.stdout.close()
            assert running.process.stderr is not None
            running.process.stderr.close()
        for home in (self.home, self.home / "demo"):
            record = NodeFile(home).read()
            if record is not None:
                sweep(record.node_id)
            shutil.rmtree(ray_folder(home).parent, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        names = (
            "PATH",
            "HOME",
            "LANG",
            "TMPDIR",
            "VIRTUAL_ENV",
            "RAY_AUTH_MODE",
            "RAY_AUTH_TOKEN",
            "RAY_AUTH_TOKEN_PATH",
        )
        env = {name: os.environ[name] for name in names if name in os.environ}
        settings = {"HOME": str(self.home), "PORT": str(self.port), "DASHBOARD_PORT": str(free_port())}
        return {**env, **{f"THORNBACK_{name}": value for name, value in {**settings, **self.settings}.items()}}


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())[:100]
    return "gone"


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[NodeCli]:
    """A home of its own, with nothing left behind."""
    node = NodeCli(tmp_path / "home")
    try:
        yield node
    finally:
        node.close()
