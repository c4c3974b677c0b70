"""Delivers what reporters still hold when the process ends.

At a normal end, after an uncaught exception and after SIGTERM: Ray turns SIGTERM into SystemExit in its
drivers and workers, so that Python's exit handlers run, and gives them 3 s. Nothing can be done about
SIGKILL and `os._exit`. Signal handlers are left alone; they are the user's.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Protocol

# All reporters of a process together; less than the 3 s between Ray's SIGTERM and its SIGKILL.
EXIT_FLUSH_S = 2.5


class Flushable(Protocol):
    """An open reporter."""

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is delivered."""
        ...

    def abandon(self) -> None:
        """Stop trying."""
        ...


_lock = threading.Lock()
_open: weakref.WeakKeyDictionary[Flushable, int] = weakref.WeakKeyDictionary()  # and their process
_installed = False


def flush_at_exit(reporter: Flushable) -> None:
    """Flush this reporter when the process ends, unless `forget` is called before."""
    global _installed  # noqa: PLW0603 - the hooks belong to the process
    with _lock:
        _open[reporter] = os.getpid()
        if _installed:
            return
        _installed = True
    _install()


def forget(reporter: Flushable) -> None:
    """The reporter was closed."""
    with _lock:
        _open.pop(reporter, None)


def _install() -> None:
    # After Ray was imported, so that this runs before Ray's own exit handler disconnects.
    atexit.register(_at_exit)
    before, before_in_threads = sys.excepthook, threading.excepthook

    def on_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)  # prints it, so that a captured stderr has it as well
        _flush_all()

    def on_exception_in_thread(args: Any) -> None:
        before_in_threads(args)
        _flush_all()

    sys.excepthook = on_exception
    threading.excepthook = on_exception_in_thread


def _at_exit() -> None:
    for reporter in _flush_all():
        reporter.abandon()


def _flush_all() -> list[Flushable]:
    with _lock:
        # A forked child has a copy of this list, and of none of the threads.
        mine = [reporter for reporter, pid in _open.items() if pid == os.getpid()]
    deadline = time.monotonic() + EXIT_FLUSH_S
    for reporter in mine:
        reporter.flush(max(deadline - time.monotonic(), 0.0))
    return mine
