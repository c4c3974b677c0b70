"""The tracker as an actor of a real Ray, with the dispatcher before it and the simulated provider behind."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.ray import RayNode
from tests.integration.dispatch.rig import Rig, eventually
from tests.unit.remote.rig import LORA
from thornback.errors import Unavailable
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import JobStatus
from thornback.metrics.port import NewJob
from thornback.remote.actor import RemoteTracker, actor_name, start_trackers
from thornback.simulator.server import SimulatorServer


@pytest.fixture
async def rig(ray_node: RayNode, fast_simulator: SimulatorServer, tmp_path: Path) -> AsyncIterator[Rig]:
    settings = ray_node.settings(
        tmp_path,
        replicate_url=fast_simulator.url,
        fetch_allow="127.0.0.1",
        replicate_api_token=fast_simulator.replicate_token,
        provider_settle_s=0.2,
    )
    rig = Rig(settings, dashboard=ray_node.dashboard).start()
    start_trackers(settings)
    yield rig
    rig.end_actor(actor_name("replicate"))
    await rig.stop()


async def post(rig: Rig, body: dict[str, Any]) -> str:
    """As the API does it."""
    job_id = str(uuid.uuid4())
    spec = parse_spec(body).model_dump(mode="json")
    await rig.recorder.create(NewJob(job_id=job_id, spec=spec, user="ada", at=datetime.now(UTC)))
    return job_id


async def test_killed_in_the_middle_of_an_order(rig: Rig, fast_simulator: SimulatorServer, dataset: str) -> None:
    fast_simulator.faults.add("slow_answer", on="replicate.trainings.create", seconds=20.0)
    config = {"dataset": dataset, "trigger_word": "ADA", "steps": 300}
    job_id = await post(rig, {**LORA, "config": config})
    await eventually(lambda: len(list(fast_simulator.orders)) == 1, "the order was taken")
    assert rig.job(job_id).fact("provider_id") is None  # its answer is on the way

    rig.kill_actor(actor_name("replicate"))

    job = await rig.until(job_id, lambda job: job.final is not None)
    assert job.status is JobStatus.COMPLETED, job.error_message
    assert job.attempt == 1
    assert "lora.safetensors" in job.artifacts
    assert len(list(fast_simulator.orders)) == 1
    assert "retried" not in rig.kinds(job_id)
    health = await RemoteTracker("replicate", rig.settings).health()
    assert (health["breaker"], health["ready"]) == ("closed", True)


async def test_where_nobody_follows_a_provider_its_client_says_so(rig: Rig) -> None:
    with pytest.raises(Unavailable, match="nothing follows fal"):
        await RemoteTracker("fal", rig.settings).alive()
