"""Coroutines that wait for the next publication, each in the event loop that it runs in.

Ray gives every concurrency group of an actor its own event loop, and asyncio objects must not be shared
between loops; here each loop has its own futures and is woken once per publication.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Waiters:
    """Who waits; `wake` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_loop: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        with self._lock:
            return sum(len(futures) for futures in self._by_loop.values())

    def add(self) -> asyncio.Future[None]:
        """A future of the running loop that is done at the next `wake`."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            self._by_loop.setdefault(loop, set()).add(future)
        return future

    def discard(self, future: asyncio.Future[None]) -> None:
        """Take a future back that is no longer waited for."""
        with self._lock:
            futures = self._by_loop.get(future.get_loop())
            if futures is not None:
                futures.discard(future)
                if not futures:
                    del self._by_loop[future.get_loop()]

    def wake(self) -> None:
        """Let all who wait go on."""
        with self._lock:
            woken, self._by_loop = self._by_loop, {}
        for loop, futures in woken.items():
            with contextlib.suppress(RuntimeError):  # that loop was closed; nobody waits there any more
                loop.call_soon_threadsafe(_resolve, futures)


def _resolve(futures: set[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
