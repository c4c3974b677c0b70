"""Image sets at the simulated providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.remote.conftest import MakeRig
from thornback.artifacts.files import locate
from thornback.artifacts.layout import images_uri
from thornback.jobs.status import JobStatus
from thornback.simulator.server import SimulatorServer

COUNT = 12


def body(provider: str) -> Mapping[str, Any]:
    """A dozen images."""
    config = {"character": "ada", "prompts": ["front view", "in profile"], "count": COUNT}
    return {"job_name": "Ada", "kind": "image_set", "backend": provider, "config": config}


@pytest.mark.parametrize("provider", ["replicate", "fal"])
async def test_a_set_is_stored_whole(make_rig: MakeRig, fast_simulator: SimulatorServer, provider: str) -> None:
    rig = await make_rig(provider)
    job = await rig.ended(await rig.order(body(provider)))
    assert job.status is JobStatus.COMPLETED, job.error_message
    files = locate(images_uri(rig.settings.storage, job.id)).files()
    assert [file.path for file in files] == [f"ada_training_{number:02d}.jpg" for number in range(1, COUNT + 1)]
    assert len(list(fast_simulator.orders)) == COUNT
    assert job.fact("success_rate") == 1.0


async def test_faults_cost_no_second_order(make_rig: MakeRig, fast_simulator: SimulatorServer) -> None:
    create = "replicate.predictions.create"
    fast_simulator.faults.add("lost_answer", on=create, times=2)
    fast_simulator.faults.add("drop", on=create, times=2, skip=2)  # five in a row would open the breaker
    fast_simulator.faults.add("error", on="*.output.download", times=2)
    rig = await make_rig()
    job_id = await rig.order(body("replicate"))
    job = await rig.ended(job_id)
    assert job.fact("images_done") == COUNT
    assert len(list(fast_simulator.orders)) == COUNT
    assert not fast_simulator.faults.pending()


async def test_what_failed_is_ordered_again(make_rig: MakeRig, fast_simulator: SimulatorServer) -> None:
    fast_simulator.faults.add("fail", on="replicate.predictions.create", times=2)
    rig = await make_rig()
    job = await rig.ended(await rig.order(body("replicate")))
    assert job.fact("images_done") == COUNT
    assert len(list(fast_simulator.orders)) == COUNT + 2
