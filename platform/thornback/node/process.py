"""A node from outside: start its process, hear how far it is, end it and whatever it left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from thornback.errors import BackendError, ThornbackError, class_of_code
from thornback.node.environment import node_environment
from thornback.node.ports import require_free
from thornback.node.processes import sweep
from thornback.node.record import NodeFile, NodeRecord
from thornback.settings import Settings

# Serve drains for a few seconds, and the store may have a last batch to commit.
STOP_TIMEOUT_S = 40.0
# One that is still starting has nothing to drain, and what it calls in Ray may swallow the request to stop.
STOP_STARTING_TIMEOUT_S = 10.0
_POLL_S = 0.1


class NodeProcess:
    """A node that this process started."""

    def __init__(self, settings: Settings, *, with_api: bool = True) -> None:
        """`with_api`: False on a cluster where somebody else deploys cluster/serve.yaml."""
        self._settings = settings
        self._with_api = with_api
        self._file = NodeFile(settings.home)
        self._node_id = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self.admin_key: str | None = None  # of the first admin, where this start made one
        self.log = settings.home / "logs" / "node.log"
        self.swept = 0  # processes that a crashed node had left here

    def start(self, *, hold: bool, on_phase: Callable[[str], None]) -> NodeRecord:
        """Start the node and wait until its API is ready.

        Args:
            hold: its life ends with ours. Otherwise it goes on in the background.
            on_phase: is told what the node does.

        Raises:
            NodeRunning: one runs in this home already.
            PortTaken: something else listens on the API's port.
            ThornbackError: what the node itself reported.
        """
        self.swept = clean_up(self._file)
        if self._settings.ray_address is None:
            require_free(self._settings.host, self._settings.port, what="the API", setting="--port or THORNBACK_PORT")
        read_fd, write_fd = os.pipe()
        try:
            self._process = self._spawn(write_fd, hold=hold)
        finally:
            os.close(write_fd)
        with os.fdopen(read_fd) as lines:
            for line in lines:
                message: dict[str, Any] = json.loads(line)
                if "phase" in message:
                    on_phase(message["phase"])
                elif "ready" in message:
                    self._is_ready = True
                    self.admin_key = message.get("admin_key")
                    return NodeRecord(**message["ready"])
                else:
                    raise self._reported(message["error"])
        raise BackendError(
            f"the node ended while it was starting (exit code {self._process.wait()}); see {self.log}",
            log=str(self.log),
        )

    def wait(self) -> int:
        """Wait until the node ends by itself; returns its exit code."""
        if self._process is None:
            raise RuntimeError("the node was not started")
        return self._process.wait()

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the node and everything that carries its mark; safe to call at any time, also twice."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout_s if self._is_ready else min(timeout_s, STOP_STARTING_TIMEOUT_S))
        sweep(self._node_id)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._forget()

    def kill(self) -> None:
        """End it without asking; jobs are taken up at the next start all the same."""
        sweep(self._node_id)
        self._forget()

    def _forget(self) -> None:
        record = self._file.read()
        if record is not None and record.node_id == self._node_id:
            self._file.clear()

    def _spawn(self, status_fd: int, *, hold: bool) -> subprocess.Popen[bytes]:
        settings = self._settings
        command = ("deploy" if self._with_api else "actors") if settings.ray_address else "hold" if hold else "run"
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.parent.mkdir(exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and module
                _command(command, status_fd, self.log),
                stdin=subprocess.PIPE if hold else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[status_fd],
                cwd=settings.home,
                env=node_environment(settings, node_id=self._node_id, base=os.environ),
                start_new_session=True,  # Ctrl-C of our terminal is for us; we pass it on in order
            )

    def _reported(self, error: dict[str, Any]) -> ThornbackError:
        kind = class_of_code(error["code"]) or ThornbackError
        return kind.rebuild(error["message"], {**error["details"], "log": str(self.log)})


def clean_up(file: NodeFile) -> int:
    """End what a crashed node of this home has left; returns how many processes there were.

    Raises:
        NodeRunning: the node did not crash, it runs.
    """
    file.acquire()
    try:
        record = file.read()
        # A record without process belongs to a cluster, which is not ours to end.
        if record is None or record.pid == 0:
            return 0
        swept = sweep(record.node_id)
        file.clear()
        return swept
    finally:
        file.release()


def stop_running(home: Path, settings: Settings, *, timeout_s: float = STOP_TIMEOUT_S) -> NodeRecord | None:
    """End the node of a home from another process; None where none runs.

    On a cluster only our applications and actors go.
    """
    file = NodeFile(home)
    record = file.read()
    if not file.is_locked():
        if record is None:
            return None
        if record.pid == 0:
            _remove_from_cluster(settings, record)
            return record
        clean_up(file)
        return None
    if record is None:
        raise BackendError(f"a node is just starting in {home}; try again in a moment")
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(record.pid).terminate()
    deadline = time.monotonic() + timeout_s
    while file.is_locked() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    sweep(record.node_id)
    file.clear()
    return record


def _remove_from_cluster(settings: Settings, record: NodeRecord) -> None:
    log = Path(record.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    settings = settings.model_copy(update={"ray_address": settings.ray_address or record.ray_address})
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd) as lines, log.open("ab") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                _command("remove", write_fd, log),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[write_fd],
                cwd=settings.home,
                env=node_environment(settings, node_id=record.node_id, base=os.environ),
            )
        finally:
            os.close(write_fd)
        said = lines.read()
    if process.wait() != 0:
        raise BackendError(
            f"could not remove Thornback from the cluster: {said.strip() or 'no reason given'}; see {log}"
        )


def _command(command: str, status_fd: int, log: Path) -> list[str]:
    # -P: a file of the user's folder must not shadow a module of Ray or Python
    return [sys.executable, "-P", "-m", "thornback.node", command, str(status_fd), str(log)]
