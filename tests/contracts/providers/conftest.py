from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.providers.bench import Bench, Clock
from thornback.providers.memory import MemoryProvider, Outcome
from thornback.providers.open import open_provider
from thornback.providers.port import OrderPhase
from thornback.settings import Settings
from thornback.simulator.server import SimulatorServer


class MemoryFarSide:
    """The other side of a dictionary."""

    def __init__(self, provider: MemoryProvider) -> None:
        self._provider = provider

    def taken(self) -> int:
        return len(self._provider.taken)

    def lose_the_answer(self) -> None:
        self._provider.script.append(Outcome.TAKEN_UNHEARD)

    def drop(self) -> None:
        self._provider.script.append(Outcome.LOST)

    def limit(self) -> None:
        self._provider.script.append(Outcome.LIMITED)

    def refuse(self) -> None:
        self._provider.script.append(Outcome.REFUSED)

    async def begin(self, provider_id: str) -> None:
        self._provider.move(provider_id, OrderPhase.PROCESSING)

    async def succeed(self, provider_id: str) -> None:
        for known in [provider_id] if provider_id else list(self._provider.taken):
            self._provider.move(known, OrderPhase.SUCCEEDED, outputs=("https://files.invalid/1.png",))

    async def fail(self, provider_id: str) -> None:
        self._provider.move(provider_id, OrderPhase.FAILED, error="out of memory")


def memory_bench() -> Bench:
    clock = Clock()
    provider = MemoryProvider(clock)
    return Bench(
        provider=provider,
        far=MemoryFarSide(provider),
        clock=clock,
        endpoint="acme/model",
        call="prediction",
        lists_unfinished=True,
        rules_out=True,
    )


class SimulatedFarSide:
    """The simulator, with its clock moved by hand."""

    def __init__(self, simulator: SimulatorServer) -> None:
        self._simulator = simulator

    def taken(self) -> int:
        return len(self._simulator.orders)

    def lose_the_answer(self) -> None:
        self._simulator.faults.add("lost_answer")

    def drop(self) -> None:
        self._simulator.faults.add("drop")

    def limit(self) -> None:
        self._simulator.faults.add("throttle", retry_after=60)

    def refuse(self) -> None:
        self._simulator.faults.add("error", status=422)

    async def begin(self, provider_id: str) -> None:
        await self._simulator.advance_async(0.2)  # what a picture waits for

    async def succeed(self, provider_id: str) -> None:
        await self._simulator.run_all_async()

    async def fail(self, provider_id: str) -> None:
        await self._simulator.run_all_async()


def simulated_bench(name: str, simulator: SimulatorServer, home: Path) -> Bench:
    clock = Clock()
    settings = Settings(
        home=home,
        replicate_api_token=simulator.replicate_token,
        replicate_url=simulator.url,
        fal_key=simulator.fal_key,
        fal_url=simulator.url,
    )
    is_replicate = name == "replicate"
    return Bench(
        provider=open_provider(name, settings, clock),
        far=SimulatedFarSide(simulator),
        clock=clock,
        endpoint="black-forest-labs/flux-schnell" if is_replicate else "fal-ai/flux/schnell",
        call="prediction",
        lists_unfinished=is_replicate,
        rules_out=is_replicate,
        before_failing=lambda: simulator.faults.add("fail"),
    )


@pytest.fixture(params=["memory", "replicate", "fal"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each provider in turn."""
    if request.param == "memory":
        made = memory_bench()
    else:
        made = simulated_bench(request.param, request.getfixturevalue("simulator"), tmp_path)
    yield made
    await made.provider.close()
