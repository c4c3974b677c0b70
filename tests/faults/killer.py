"""Kills or stops a process of each kind in turn, at random moments, and plays the operator where Ray wants one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from tests.faults.world import NOT_STOPPED, World

PAUSE_S = (1.0, 5.0)  # between two faults
STOPPED = 0.2  # this part of the processes is stopped and goes on later, instead of killed

# A second fault may come before the platform is up again after the one before: every third does. On a slow machine
# it would otherwise never be.
RECOVERY_S = 120.0
_AWAY_S = (1.0, 8.0)  # a node or a dashboard that an operator brings back
_STOPPED_S = (1.0, 15.0)  # a machine that swaps, a debugger, a suspended virtual machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How a storm rages."""

    kinds: Sequence[str]
    once: Sequence[str] = ()  # kinds that come at the beginning, and never again
    pause_s: tuple[float, float] = PAUSE_S
    stopped: float = STOPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A driver that was killed."""

    job_id: str
    attempt: int
    at: datetime


class Killer:
    """One for a storm."""

    def __init__(self, world: World, choices: Choices, *, seed: int) -> None:
        self._world, self._choices = world, choices
        self._chance = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.stopped: Counter[str] = Counter()
        self.losses: list[Loss] = []
        self.recoveries_s: list[float] = []  # until the API said that it is ready
        self.over = asyncio.Event()
        self._kinds = self._turns()

    async def run(self) -> None:
        """Until `over` is set."""
        while self._choices.kinds and not await self._sleeps(self._choices.pause_s):
            tries = len(self._choices.kinds)
            while tries and not await self._one(next(self._kinds)):
                tries -= 1
            if (self.killed + self.stopped).total() % 3:
                await self._recovered()

    def _turns(self) -> Iterator[str]:
        """Every kind once before any comes again."""
        yield from self._choices.once
        kinds = list(self._choices.kinds)
        while True:
            self._chance.shuffle(kinds)
            yield from kinds

    async def _one(self, kind: str) -> bool:
        """False where there is none at the moment."""
        if kind == "database":
            await self._crash_database()
            return True
        found = await asyncio.to_thread(self._world.find, kind)
        if not found:
            return False
        pid = self._chance.choice(found)
        with contextlib.suppress(ProcessLookupError):
            if kind not in NOT_STOPPED and self._chance.random() < self._choices.stopped:
                await self._stop(kind, pid)
            else:
                await self._kill(kind, pid)
            return True
        return False

    async def _kill(self, kind: str, pid: int) -> None:
        told = self._world.run_of(pid) if kind == "driver" else None
        os.kill(pid, signal.SIGKILL)
        if told is not None:
            self.losses.append(Loss(job_id=told[0], attempt=told[1], at=datetime.now(UTC)))
        self.killed[kind] += 1
        print(f"  kill -9 {kind}", flush=True)
        if kind in ("raylet", "agent"):  # a raylet ends with its agent
            await self._sleeps(_AWAY_S)
            self._world.replace_node()  # Ray wants it in the main thread
        if kind == "dashboard":
            await self._sleeps(_AWAY_S)
            self._world.replace_dashboard()

    async def _stop(self, kind: str, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        self.stopped[kind] += 1
        print(f"  kill -STOP {kind}", flush=True)
        try:
            await self._sleeps(_STOPPED_S)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _crash_database(self) -> None:
        print("  crash of the database", flush=True)
        await asyncio.to_thread(self._world.crash_database)
        self.killed["database"] += 1

    async def _recovered(self) -> None:
        began = time.monotonic()
        async with httpx2.AsyncClient(base_url=self._world.url, timeout=5.0, trust_env=False) as http:
            while not self.over.is_set() and time.monotonic() < began + RECOVERY_S:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get("/readyz")).is_success:
                        self.recoveries_s.append(time.monotonic() - began)
                        return
                await self._sleeps((0.5, 0.5))

    async def _sleeps(self, between: tuple[float, float]) -> bool:
        try:
            await asyncio.wait_for(self.over.wait(), self._chance.uniform(*between))
        except TimeoutError:
            return False
        return True
