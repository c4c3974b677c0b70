"""Kills a process of each kind in turn, at random moments, and plays the operator where Ray wants one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

import httpx2

from tests.faults.world import KINDS, World

# Between two faults, in seconds. Every third comes before the platform is up again after the one before; on a slow
# machine it would otherwise never be.
PAUSE_S = (1.0, 5.0)
RECOVERY_S = 120.0
_AWAY_S = (1.0, 8.0)  # a node or a dashboard that an operator brings back


class Killer:
    """One for a storm."""

    def __init__(self, world: World, *, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.recoveries_s: list[float] = []  # until the API said that it is ready
        self.over = asyncio.Event()
        self._kinds = self._turns()

    async def run(self) -> None:
        """Until `over` is set."""
        while not await self._sleeps(PAUSE_S):
            tries = len(KINDS)
            while tries and not await self._one(next(self._kinds)):
                tries -= 1
            if self.killed.total() % 3:
                await self._recovered()

    def _turns(self) -> Iterator[str]:
        """Every kind once before any comes again."""
        kinds = list(KINDS)
        while True:
            self._chance.shuffle(kinds)
            yield from kinds

    async def _one(self, kind: str) -> bool:
        """False where there is none at the moment."""
        found = await asyncio.to_thread(self._world.find, kind)
        if not found:
            return False
        try:
            os.kill(self._chance.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed[kind] += 1
        print(f"  kill -9 {kind}", flush=True)
        if kind in ("raylet", "agent"):  # a raylet ends with its agent
            await self._sleeps(_AWAY_S)
            self._world.replace_node()  # Ray wants it in the main thread
        if kind == "dashboard":
            await self._sleeps(_AWAY_S)
            self._world.replace_dashboard()
        return True

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
