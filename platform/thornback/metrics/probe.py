"""Whether the database answers, asked without ever waiting longer than one is willing to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from thornback.errors import ThornbackError


class DatabaseProbe:
    """Pings in a thread of its own; a ping that hangs is reported, not waited for, and not repeated."""

    def __init__(self, ping: Callable[[], None]) -> None:
        """`ping` raises a ThornbackError where the database does not answer."""
        self._ping = ping
        self._lock = threading.Lock()
        self._done: threading.Event | None = None
        self._since = 0.0
        self._answer = "not asked yet"

    def look(self, timeout_s: float) -> str:
        """Says "ok", or what is wrong. Blocks the calling thread for at most `timeout_s`."""
        with self._lock:
            if self._done is None or self._done.is_set():
                self._done = threading.Event()
                self._since = time.monotonic()
                # A daemon: a database that hangs must not keep the process from ending.
                threading.Thread(target=self._run, args=(self._done,), name="thornback-ping", daemon=True).start()
            done, since = self._done, self._since
        if done.wait(timeout_s):
            return self._answer
        return f"no answer for {time.monotonic() - since:.1f} s"

    def _run(self, done: threading.Event) -> None:
        try:
            self._ping()
            self._answer = "ok"
        except ThornbackError as error:
            self._answer = str(error)
        except Exception as error:  # noqa: BLE001 - health reports what is wrong, whatever it is
            self._answer = repr(error)
        finally:
            done.set()
