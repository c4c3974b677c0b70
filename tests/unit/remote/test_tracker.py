from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.remote.make import succeeded
from tests.unit.remote.rig import QUICK, Rig, now, until
from tests.unit.remote.test_training import VERSION, finished, one_order
from thornback.errors import JobNotFound, OrderUnknown
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.port import Delivery
from thornback.providers.catalogue import load_catalogue
from thornback.providers.memory import Taken
from thornback.providers.port import Order, OrderPhase, Sighting
from thornback.remote.imports import IMPORTED, import_of, imported_id


@pytest.fixture
async def called(tmp_path: Path) -> AsyncIterator[Rig]:
    """One that the provider can call."""
    rig = Rig(tmp_path, public_url="https://thornback.test")
    rig.start()
    yield rig
    await rig.close()


def elsewhere(rig: Rig, provider_id: str, phase: OrderPhase, **changes: Any) -> Sighting:
    """A training that somebody started without us."""
    sighting = succeeded(provider_id=provider_id, phase=phase, status=phase.value, **changes)
    nobodys = Order(
        job_id="",
        item=1,
        number=1,
        endpoint="ostris/flux-dev-lora-trainer",
        call="training",
        inputs={},
        webhook_url=None,
    )
    rig.memory.taken[provider_id] = Taken(order=nobodys, sighting=sighting)
    return sighting


async def take_by_webhook(rig: Rig, sighting: Sighting) -> str:
    """As the API does for a delivery of an unknown training."""
    made = import_of(sighting, via="webhook", at=now(), catalogue=load_catalogue(rig.settings))
    await rig.recorder.create(made.new)
    await rig.recorder.record(made.events)
    return made.new.job_id


async def test_a_webhook_ends_a_training_at_once(called: Rig) -> None:
    job_id = await called.order()
    [taken] = await called.taken()
    await called.until(job_id, lambda job: job.fact("provider_id"), "sent")
    await called.webhook(taken, phase=OrderPhase.FAILED, status="failed", error="boom")
    job = await called.ended(job_id)
    assert job.error_message == "boom"
    await until(lambda: called.tracker.health()["jobs"] == 0, "let go")


async def test_logs_come_from_the_inbox(called: Rig) -> None:
    job_id = await called.order()
    [taken] = await called.taken()
    await called.until(job_id, lambda job: job.fact("provider_id"), "sent")
    body = {"id": taken.sighting.provider_id, "status": "processing", "logs": "from the webhook\n", "input": {"a": 1}}
    await called.webhook(taken, body=json.dumps(body), phase=OrderPhase.PROCESSING, status="processing")
    await until(lambda: "from the webhook" in called.log(job_id), "its log")


async def test_a_training_from_elsewhere_is_taken_up_and_its_weights_fetched(called: Rig) -> None:
    sighting = elsewhere(called, "abc", OrderPhase.PROCESSING, completed_at=None, output=None, outputs=(), version=None)
    job_id = await take_by_webhook(called, sighting)
    await until(lambda: called.tracker.health()["jobs"] == 1, "followed")
    called.memory.move("abc", OrderPhase.SUCCEEDED, **finished())

    job = await called.ended(job_id)

    assert job.status is JobStatus.COMPLETED
    assert job.id == imported_id("replicate", "abc")
    assert job.spec["tags"] == {IMPORTED: "abc"}
    assert (job.fact("trigger_word"), job.fact("provider_version")) == ("ADA", VERSION)
    assert "lora.safetensors" in job.artifacts
    assert len(called.memory.taken) == 1


async def test_a_training_from_elsewhere_completes_without_its_files(called: Rig) -> None:
    said = elsewhere(called, "abc", OrderPhase.SUCCEEDED, output="a bare string", outputs=(), version=None)
    called.memory.forget("abc")  # it never was: somebody plays webhooks
    job = await called.ended(await take_by_webhook(called, said))
    assert job.status is JobStatus.COMPLETED
    assert job.completed_at == said.completed_at
    assert job.fact("training_steps") == 1000
    assert job.artifacts == {}


async def test_the_log_of_a_training_that_is_only_known_from_its_webhooks(called: Rig) -> None:
    said = elsewhere(called, "abc", OrderPhase.SUCCEEDED, output="a bare string", outputs=(), version=None)
    called.memory.forget("abc")
    made = import_of(said, via="webhook", at=now(), catalogue=load_catalogue(called.settings))
    delivery = Delivery(
        provider="replicate",
        delivery_id="msg_1",
        received_at=now(),
        provider_id="abc",
        job_id=made.new.job_id,
        item=1,
        status="succeeded",
        body=json.dumps({"id": "abc", "status": "succeeded", "logs": "its last words\n"}),
    )
    await called.recorder.receive(delivery, made.events, new=made.new)
    job = await called.ended(made.new.job_id)
    assert "its last words" in called.log(job.id)


async def test_sync_takes_over_a_training(rig: Rig) -> None:
    elsewhere(rig, "abc", OrderPhase.SUCCEEDED, **finished())
    job_id = await rig.tracker.import_training("abc")
    assert job_id == imported_id("replicate", "abc")
    assert (await rig.ended(job_id)).status is JobStatus.COMPLETED
    assert await rig.tracker.import_training("abc") == job_id
    with pytest.raises(OrderUnknown):
        await rig.tracker.import_training("never heard of")


async def test_sync_asks_now_and_final_never_changes(tmp_path: Path) -> None:
    slow = Rig(tmp_path, pace=QUICK.__class__(first_s=600, quick_s=600, calm_s=600, inbox_s=0.05))
    slow.start()
    try:
        job_id = await slow.order()
        provider_id = await one_order(slow)
        await slow.until(job_id, lambda job: job.fact("provider_id"), "sent")
        slow.memory.move(provider_id, OrderPhase.FAILED, error="boom")
        assert await slow.tracker.sync(job_id) == "the provider was asked"
        job = await slow.ended(job_id)
        assert job.error_message == "boom"
        slow.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())
        assert "has ended as failed" in await slow.tracker.sync(job_id)
        assert slow.job(job_id).status is JobStatus.FAILED
        with pytest.raises(JobNotFound):
            await slow.tracker.sync("0190a000-0000-7000-8000-00000000dead")
    finally:
        await slow.close()


async def test_a_job_that_breaks_us_does_not_stop_the_others(rig: Rig) -> None:
    look = rig.memory.look
    broken: set[str] = set()

    async def fail_for_one(endpoint: str, call: str, provider_id: str) -> Sighting:
        if provider_id in broken:
            raise RuntimeError("a fault of ours")
        return await look(endpoint, call, provider_id)

    rig.memory.look = fail_for_one  # type: ignore[method-assign]
    bad = await rig.order()
    broken.add(await one_order(rig))
    good = await rig.order()
    [_, taken] = await rig.taken(2)
    rig.memory.move(taken.sighting.provider_id, OrderPhase.SUCCEEDED, **finished())
    assert (await rig.ended(good)).status is JobStatus.COMPLETED
    job = await rig.ended(bad)
    assert (job.failure, "a fault of ours" in str(job.error_message)) == (FailureReason.EXCEPTION, True)


@pytest.mark.parametrize("setting", ["provider_start_s", "provider_run_s"])
async def test_an_order_that_takes_for_ever_is_given_up(tmp_path: Path, setting: str) -> None:
    settings: dict[str, Any] = {setting: 0.3}
    rig = Rig(tmp_path, **settings)
    rig.start()
    try:
        job_id = await rig.order()
        provider_id = await one_order(rig)
        if setting == "provider_run_s":
            rig.memory.move(provider_id, OrderPhase.PROCESSING, started_at=now() - timedelta(seconds=1))
        job = await rig.ended(job_id)
    finally:
        await rig.close()
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_LOST)
    assert f"THORNBACK_{setting.upper()}" in str(job.error_message)
    assert rig.memory.cancels == [provider_id]


async def test_a_job_that_is_deleted_is_let_go(rig: Rig) -> None:
    job_id = await rig.order()
    await one_order(rig)
    await rig.recorder.delete(job_id)
    await until(lambda: rig.tracker.health()["jobs"] == 0, "let go")


async def test_what_was_cancelled_while_nobody_followed_is_ended_at_the_start(rig: Rig) -> None:
    job_id = await rig.order()
    provider_id = await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id"), "sent")
    await rig.kill()
    await rig.recorder.record([EventFactory(job_id).cancel_requested(user="ada", at=now())])
    await rig.restart()
    assert (await rig.ended(job_id)).status is JobStatus.CANCELLED
    assert rig.memory.cancels == [provider_id]
