"""Trainings at the simulated providers, through the official clients and over real HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.remote.conftest import MakeRig
from tests.unit.remote.rig import LORA, Rig, until
from thornback.artifacts.safetensors import read_header
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.simulator.server import SimulatorServer

# Parts of the simulator's name for the call that costs money.
CREATE = {"replicate": "replicate.trainings.create", "fal": "fal.requests.create"}


def body(provider: str, dataset: str) -> Mapping[str, Any]:
    """A training that takes the simulator half a second."""
    config = {**LORA["config"], "dataset": dataset, "steps": 300}
    config.pop("destination")  # one is made
    return {**LORA, "backend": provider, "config": config}


def assert_whole(rig: Rig, job: JobState) -> None:
    """The job has its weights and was paid for once."""
    assert job.status is JobStatus.COMPLETED, job.error_message
    tensors, _ = read_header(Path(job.artifacts["lora.safetensors"].uri))
    assert tensors
    order = rig.item(job.id)
    assert order is not None
    assert order.order == 1
    assert (job.fact("cost_usd") or 0) > 0
    assert job.fact("trigger_word") == "ADA"


@pytest.mark.parametrize("provider", ["replicate", "fal"])
async def test_from_pictures_to_weights(
    make_rig: MakeRig, fast_simulator: SimulatorServer, dataset: str, provider: str
) -> None:
    rig = await make_rig(provider)
    job = await rig.ended(await rig.order(body(provider, dataset)))
    assert_whole(rig, job)
    assert len(list(fast_simulator.orders)) == 1
    kinds = [(event.kind.value, event.data) for event in rig.reader.events(0, job_id=job.id)]
    shown = [data["percent"] for kind, data in kinds if kind == "progress"]
    assert shown == sorted(shown)
    assert {data["origin"] for kind, data in kinds if kind == "progress"} & {"parsed"}
    steps = [row.batch for row in rig.reader.metrics(job.id, level="step")]
    assert steps == sorted(set(steps))  # type: ignore[type-var]
    assert any("300/300" in line for line in rig.log(job.id))
    assert job.started_at is not None
    assert job.completed_at is not None


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        *(("replicate", fault) for fault in ("lost_answer", "drop", "invalid_json", "error", "throttle")),
        *(("fal", fault) for fault in ("lost_answer", "invalid_json", "throttle")),
    ],
)
async def test_whatever_befalls_the_order_it_exists_once(
    make_rig: MakeRig, fast_simulator: SimulatorServer, dataset: str, provider: str, fault: str
) -> None:
    options = {"retry_after": 1} if fault == "throttle" else {}
    fast_simulator.faults.add(fault, on=CREATE[provider], **options)
    rig = await make_rig(provider)
    job = await rig.ended(await rig.order(body(provider, dataset)))
    assert not fast_simulator.faults.pending()
    assert_whole(rig, job)
    assert len(list(fast_simulator.orders)) == 1


async def test_where_fal_cannot_tell_nothing_is_sent_again(
    make_rig: MakeRig, fast_simulator: SimulatorServer, dataset: str
) -> None:
    fast_simulator.faults.add("drop", on=CREATE["fal"])
    rig = await make_rig("fal", provider_start_s=1.5)
    job = await rig.ended(await rig.order(body("fal", dataset)))
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_LOST)
    assert "look at your account" in str(job.error_message)
    assert list(fast_simulator.orders) == []


async def test_killed_between_the_order_and_its_answer(
    make_rig: MakeRig, fast_simulator: SimulatorServer, dataset: str
) -> None:
    fast_simulator.faults.add("slow_answer", on=CREATE["replicate"], seconds=5.0)
    rig = await make_rig()
    job_id = await rig.order(body("replicate", dataset))
    await until(lambda: len(list(fast_simulator.orders)) == 1, "taken")
    await rig.restart()
    job = await rig.ended(job_id)
    assert_whole(rig, job)
    assert len(list(fast_simulator.orders)) == 1


@pytest.mark.parametrize(
    ("fault", "on"),
    [
        ("error", "replicate.trainings.get"),
        ("throttle", "replicate.trainings.get"),
        ("not_found", "replicate.trainings.get"),
        ("control_characters", CREATE["replicate"]),
        ("error", "*.output.download"),
        ("error", "*.files.upload"),
    ],
)
async def test_faults_on_the_way_change_nothing(
    make_rig: MakeRig, fast_simulator: SimulatorServer, dataset: str, fault: str, on: str
) -> None:
    options = {"retry_after": 1} if fault == "throttle" else {}
    fast_simulator.faults.add(fault, on=on, **options)
    rig = await make_rig()
    assert_whole(rig, await rig.ended(await rig.order(body("replicate", dataset))))
    assert not fast_simulator.faults.pending()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("fail", FailureReason.PROVIDER_FAILED),
        ("succeed_then_fail", FailureReason.PROVIDER_FAILED),
        ("aborted", FailureReason.PROVIDER_CANCELLED),
        ("expired_output", FailureReason.OUTPUT_LOST),
    ],
)
async def test_ends_that_are_not_good(
    make_rig: MakeRig, fast_simulator: SimulatorServer, dataset: str, fault: str, reason: FailureReason
) -> None:
    fast_simulator.faults.add(fault, on=CREATE["replicate"])
    rig = await make_rig()
    job = await rig.ended(await rig.order(body("replicate", dataset)))
    assert (job.status, job.failure) == (JobStatus.FAILED, reason)
    assert job.error_message


@pytest.mark.parametrize("provider", ["replicate", "fal"])
async def test_cancel(make_rig: MakeRig, fast_simulator: SimulatorServer, dataset: str, provider: str) -> None:
    rig = await make_rig(provider)
    job_id = await rig.order(
        {**body(provider, dataset), "config": {**body(provider, dataset)["config"], "steps": 6000}}
    )
    await rig.until(job_id, lambda job: job.fact("provider_id"), "sent")
    await rig.cancel(job_id)
    job = await rig.ended(job_id)
    assert job.status is JobStatus.CANCELLED, job.error_message
    [order] = list(fast_simulator.orders)
    await until(lambda: order.is_final, "ended there too")
