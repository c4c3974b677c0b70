"""The node's own process: `python -m thornback.node {run,hold,deploy,actors,remove} STATUS_FD LOG`.

Started by `thornback.node.process` with its environment prepared. It tells its parent what it does in
JSON lines on STATUS_FD: {"phase": …}, then {"ready": {…}} or {"error": {…}}. Its own output, and all
that Ray and Serve print, goes to the log file that its parent gave it as stdout.

`run` goes on until SIGTERM or SIGINT. `hold` also ends with its input: a parent that dies takes the node
with it. `deploy` and `remove` are for a cluster that lives without us, `actors` for one where somebody else deploys
the API.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from types import FrameType
from typing import Any

from thornback.errors import ThornbackError
from thornback.log import configure_logging
from thornback.node.environment import NODE_ID_VARIABLE
from thornback.node.record import NodeFile, NodeRecord
from thornback.secret_settings import private_variables
from thornback.settings import Settings, load_settings

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _StopRequestedError(BaseException):
    """Somebody asked the node to end; not an Exception, so that no handler of a library swallows it."""


class _Status:
    """The line to the parent; a parent that is gone is no error."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._stream = os.fdopen(fd, "w", buffering=1)

    def send(self, **message: Any) -> None:
        """Write one line."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(json.dumps(message) + "\n")

    def phase(self, text: str) -> None:
        """What the node does now."""
        self.send(phase=text)


def main(argv: list[str]) -> int:
    """Run one of the commands; returns the exit code."""
    command, fd, log = argv
    status = _Status(int(fd))
    settings = load_settings()
    for name in private_variables(Settings) & os.environ.keys():
        del os.environ[name]  # what Ray starts from here inherits the rest: no worker finds a token of ours
    configure_logging(settings.log_level, secrets=settings.secrets)
    commands: dict[str, Callable[[], None]] = {
        "run": lambda: _run(settings, status, log),
        "hold": lambda: _hold(settings, status, log),
        "deploy": lambda: _deploy(settings, status, log),
        "actors": lambda: _deploy(settings, status, log, with_api=False),
        "remove": lambda: _remove(settings),
    }
    try:
        commands[command]()
    except ThornbackError as error:
        status.send(error={"code": error.code, "message": error.message, "details": error.details})
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it; the log has the traceback
        traceback.print_exc()
        status.send(error={"code": "internal", "message": f"{type(error).__name__}: {error}", "details": {}})
        return 1
    return 0


def _hold(settings: Settings, status: _Status, log: str) -> None:
    threading.Thread(target=_stop_with_parent, name="parent-watch", daemon=True).start()
    _run(settings, status, log)


def _run(settings: Settings, status: _Status, log: str) -> None:
    file = NodeFile(settings.home)
    file.acquire()
    _write_record(file, settings, log)
    _catch_signals()
    # Ray is imported after the signals are ours: it takes a second, and Ctrl-C may come within it.
    node = None
    try:
        status.phase("loading Ray")
        from thornback.node.node import Node

        node = Node(settings, on_phase=status.phase)
        info = asdict(node.start())
        admin_key = info.pop("admin_key")  # for the parent alone: the record is a file
        _catch_signals()  # ray.init put its own handler in
        status.send(ready=file.update(ready=True, **info).to_dict(), admin_key=admin_key)
        threading.Event().wait()
    except (_StopRequestedError, SystemExit):
        # SystemExit: from Ray's own handler, while the node was starting.
        pass
    finally:
        _ignore_signals()
        if node is not None:
            node.stop()
        file.clear()
        file.release()


def _deploy(settings: Settings, status: _Status, log: str, *, with_api: bool = True) -> None:
    from thornback.node.node import Node

    file = NodeFile(settings.home)
    file.acquire()
    info = asdict(Node(settings, on_phase=status.phase, with_api=with_api).start())
    admin_key = info.pop("admin_key")
    _write_record(file, settings, log)
    record = file.update(ready=True, pid=0, **info)
    # Before the parent hears of it: Ray takes seconds to let this process go, and a `thornback down`
    # meanwhile would take the lock for a node of this machine and leave the cluster as it is.
    file.release()
    status.send(ready=record.to_dict(), admin_key=admin_key)


def _remove(settings: Settings) -> None:
    from thornback.node.node import Node

    Node(settings).remove()
    NodeFile(settings.home).clear()


def _write_record(file: NodeFile, settings: Settings, log: str) -> None:
    file.write(
        NodeRecord(
            node_id=os.environ[NODE_ID_VARIABLE],
            pid=os.getpid(),
            url=f"http://{settings.host}:{settings.port}",
            ray_address=settings.ray_address,
            log=log,
            mode="connected" if settings.ray_address else "local",
        )
    )


def _stop_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _catch_signals() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        _ignore_signals()  # once is enough; the clean-up must not be interrupted
        raise _StopRequestedError

    for number in _SIGNALS:
        signal.signal(number, stop)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
