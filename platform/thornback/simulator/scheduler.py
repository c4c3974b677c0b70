"""Runs the orders: each is an async generator that yields in how many seconds it wants to go on."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from thornback.simulator.clock import Clock

Run = AsyncGenerator[float, None]
"""Yields provider seconds until it goes on; ends when there is nothing left to do."""

_log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    number: int  # what was added first goes first
    run: Run = field(compare=False)


class Scheduler:
    """What is due when, on one clock and one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._due: list[_Due] = []
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    def add(self, run: Run, delay: float = 0.0) -> None:
        """Begin a run in `delay` provider seconds."""
        self._count += 1
        heapq.heappush(self._due, _Due(self.clock.after(delay), self._count, run))
        self._wake.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the runs; `settle` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def idle(self) -> bool:
        """Whether nothing will happen any more."""
        return not self._due and not self._tasks

    async def settle(self) -> None:
        """Wait for everything that was spawned, also by what was spawned."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def advance(self, seconds: float = 0.0) -> None:
        """Turn the clock forward, with everything that is due on the way at its own moment."""
        target = self.clock.after(seconds)
        await self.settle()
        while self._due and self._due[0].at <= target:
            due = heapq.heappop(self._due)
            self.clock.move_to(due.at)
            await self._step(due.run)
            await self.settle()
        self.clock.move_to(target)

    async def advance_to_next(self) -> bool:
        """Turn the clock to the next thing that is due; False where nothing is."""
        await self.settle()
        if not self._due:
            return False
        due = heapq.heappop(self._due)
        self.clock.move_to(due.at)
        await self._step(due.run)
        await self.settle()
        return True

    async def run(self) -> None:
        """Do what is due as the clock comes to it; for ever."""
        while True:
            self._wake.clear()
            now = self.clock.now()
            while self._due and self._due[0].at <= now:
                # beside each other: one that fetches a large data set must not hold up the rest
                self.spawn(self._guarded(heapq.heappop(self._due).run))
            try:
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _pause(self) -> float | None:
        if self.clock.stands or not self._due:
            return None
        return max((self._due[0].at - self.clock.now()).total_seconds(), 0.0)

    async def _guarded(self, run: Run) -> None:
        try:
            await self._step(run)
        except Exception:  # noqa: BLE001 - the other orders go on
            _log.exception("a simulated order broke off")

    async def _step(self, run: Run) -> None:
        try:
            delay = await anext(run)
        except StopAsyncIteration:
            return
        self.add(run, delay)

    async def close(self) -> None:
        """Forget what is due and stop what runs."""
        for due in self._due:
            await due.run.aclose()
        self._due.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
