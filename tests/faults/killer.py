"""Kills a process of each kind in turn, at random moments, and plays the operator where Ray wants one."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator

from tests.faults.world import KINDS, World

# Between two faults, in seconds. What a fault takes down is not always up again before the next.
PAUSE_S = (2.0, 6.0)
_AWAY_S = (1.0, 8.0)  # a node or a dashboard that an operator brings back


class Killer:
    """One for a storm."""

    def __init__(self, world: World, *, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.over = asyncio.Event()
        self._kinds = self._turns()

    async def run(self) -> None:
        """Until `over` is set."""
        while not await self._sleeps(PAUSE_S):
            tries = len(KINDS)
            while tries and not await self._one(next(self._kinds)):
                tries -= 1

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

    async def _sleeps(self, between: tuple[float, float]) -> bool:
        try:
            await asyncio.wait_for(self.over.wait(), self._chance.uniform(*between))
        except TimeoutError:
            return False
        return True
