"""How a driver that is to end (SIGTERM, Ctrl-C) or to move asks its workers for a checkpoint first."""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class StopSignal:
    """An actor of one flag: `wait` answers when it is set."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def set(self) -> None:
        """Ask all workers to stop."""
        self._event.set()

    async def wait(self) -> bool:
        """Answers when workers are to stop, which may be never."""
        return await self._event.wait()


def open_stop_signal() -> Any:
    """Start the actor beside the driver, whose end is its own; it takes no resources."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor: Any = ray.remote(StopSignal)
    return actor.options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here).remote()


class StopListener:
    """A worker's ear: looking costs some microseconds, so every step can."""

    def __init__(self, signal: Any) -> None:
        self._answer = signal.wait.remote()

    def __call__(self) -> bool:
        """True once the driver has asked to stop."""
        ready, _ = ray.wait([self._answer], timeout=0)
        return bool(ready)
