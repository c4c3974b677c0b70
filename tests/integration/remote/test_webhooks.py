"""Jobs of which the provider tells by webhooks: simulator, API and tracker together, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from serve_apps.api.app import create_app
from tests.fixtures.api import serving
from tests.fixtures.ray import free_port
from tests.integration.remote.conftest import MakeRig
from tests.integration.remote.test_image_set import COUNT
from tests.integration.remote.test_image_set import body as image_set
from tests.integration.remote.test_training import CREATE, assert_whole
from tests.integration.remote.test_training import body as training
from tests.unit.remote.rig import Rig
from thornback.jobs.status import JobStatus
from thornback.simulator.server import SimulatorServer

OPERATIONS = {
    "replicate": ("replicate.predictions.create", "replicate.output.download"),
    "fal": ("fal.requests.create", "fal.output.download"),
}


@pytest.fixture
async def make_called(make_rig: MakeRig, fast_simulator: SimulatorServer) -> AsyncIterator[MakeRig]:
    """Trackers beside an API that the provider can call."""
    async with AsyncExitStack() as stack:

        async def make(name: str = "replicate", **choices: Any) -> Rig:
            port = free_port()
            secrets = {
                "replicate_webhook_secrets": fast_simulator.webhook_secret,
                "fal_jwks_url": fast_simulator.jwks_url,
                "public_url": f"http://127.0.0.1:{port}",
            }
            rig = await make_rig(name, **secrets, **choices)

            async def health() -> Mapping[str, Any]:
                return {}

            app = create_app(settings=rig.settings, reader=rig.reader, recorder=rig.recorder, dispatcher_health=health)
            await stack.enter_async_context(serving(app, port=port))
            return rig

        yield make


@pytest.mark.parametrize("provider", ["replicate", "fal"])
async def test_a_set_needs_one_request_for_each_image(
    make_called: MakeRig, fast_simulator: SimulatorServer, provider: str
) -> None:
    rig = await make_called(provider)
    job = await rig.ended(await rig.order(image_set(provider)))
    assert job.status is JobStatus.COMPLETED, job.error_message
    assert job.fact("images_done") == COUNT
    asked = [request.operation for request in fast_simulator.requests]
    create, download = OPERATIONS[provider]
    assert {name: asked.count(name) for name in asked if name != "fal.jwks"} == {create: COUNT, download: COUNT}
    assert all(item.webhook_at is not None for item in rig.reader.items(job.id))


@pytest.mark.parametrize("fault", ["webhook_early", "webhook_duplicate", "webhook_reorder", "webhook_drop"])
async def test_a_training_ends_the_same_however_its_webhooks_come(
    make_called: MakeRig, fast_simulator: SimulatorServer, dataset: str, fault: str
) -> None:
    fast_simulator.faults.add(fault, on="webhook.*", times=None)
    rig = await make_called()
    job = await rig.ended(await rig.order(training("replicate", dataset)))
    assert_whole(rig, job)
    assert len(list(fast_simulator.orders)) == 1
    assert any("300/300" in line for line in rig.log(job.id))


async def test_a_lost_answer_is_made_up_for_by_a_webhook(
    make_called: MakeRig, fast_simulator: SimulatorServer, dataset: str
) -> None:
    fast_simulator.faults.add("lost_answer", on=CREATE["fal"])
    fast_simulator.faults.add("not_found", on="fal.requests.list", times=None)
    rig = await make_called("fal")
    job = await rig.ended(await rig.order(training("fal", dataset)))
    assert_whole(rig, job)
    assert len(list(fast_simulator.orders)) == 1
