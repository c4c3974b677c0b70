"""A provider forgets the inputs of old orders: one whose answer was lost then is told from our others by their ids."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.remote.rig import QUICK, Rig, now, until
from thornback.jobs.status import JobStatus
from thornback.providers.open import open_provider
from thornback.settings import Settings
from thornback.simulator.scenario import Scenario
from thornback.simulator.server import SimulatorServer

SET = {"job_name": "Ada", "kind": "image_set", "backend": "replicate"}


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer(Scenario(speed=800, output_ttl_s=86_400)) as server:
        yield server


@pytest.fixture
async def rig(simulator: SimulatorServer, tmp_path: Path) -> AsyncIterator[Rig]:
    values: dict[str, Any] = {
        "replicate_api_token": simulator.replicate_token,
        "replicate_url": simulator.url,
        "provider_settle_s": 0.5,
        "fetch_allow": "127.0.0.1",
    }
    provider = open_provider("replicate", Settings(home=tmp_path, **values), now)
    rig = Rig(tmp_path, provider=provider, pace=QUICK, **values)
    rig.start()
    yield rig
    await rig.close()


async def test_orders_of_ours_whose_inputs_are_gone_put_nothing_in_doubt(rig: Rig, simulator: SimulatorServer) -> None:
    first = await rig.order({**SET, "config": {"character": "ada", "prompts": ["a", "b"], "count": 2}})
    await until(lambda: rig.job(first).final is not None, "the first has ended", within_s=120)
    for order in simulator.orders:
        order.removed, order.output, order.inputs = True, None, {}

    simulator.faults.add("drop", on="*.create")  # taken or not: nobody knows
    second = await rig.order({**SET, "config": {"character": "bob", "prompts": ["a"], "count": 1}})

    await until(lambda: rig.job(second).final is not None, f"{rig.log(second)}", within_s=120)
    assert rig.job(second).final is JobStatus.COMPLETED
    assert sum(bool(order.inputs) for order in simulator.orders) == 1
