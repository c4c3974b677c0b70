"""The end of a driver that gives work to other jobs, too early: cancelled, replaced, or told to go by a signal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import anyio

from thornback.metrics.reporter import Reporter

LOOK_S = 0.2


class Cause(Enum):
    """Why it ends."""

    CANCELLED = auto()  # what it made goes
    SUPERSEDED = auto()  # another attempt has its files: nothing is touched
    SIGNAL = auto()  # a later attempt goes on from what is there


class Stopped(Exception):
    """Raised in threads that work for a run that ends."""


class Stopping:
    """Looks whether the run has to end."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.signal: int | None = None

    @property
    def cause(self) -> Cause | None:
        """None while it may go on."""
        if self._reporter.is_superseded:
            return Cause.SUPERSEDED
        if self._reporter.should_stop:
            return Cause.CANCELLED
        return None if self.signal is None else Cause.SIGNAL

    def check(self) -> None:
        """Raises Stopped; for threads, which nothing else reaches."""
        if self.cause is not None:
            raise Stopped

    async def watch(self, scope: anyio.CancelScope) -> None:
        """Cancel what runs in the scope once it has to end."""
        while self.cause is None:  # noqa: ASYNC110 - it is told by a thread
            await anyio.sleep(LOOK_S)
        scope.cancel()

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Within this, in the main thread's loop: the first SIGTERM or Ctrl-C stops, the second ends at once."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
