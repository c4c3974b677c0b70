"""The dispatcher with a provider among its backends: a real tracker over a provider in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.remote.rig import LORA, Rig, now, until
from tests.unit.remote.test_training import finished, one_order
from thornback.artifacts.files import locate
from thornback.artifacts.layout import image_uri
from thornback.backends.provider import ProviderBackend
from thornback.dispatch.dispatcher import Dispatcher
from thornback.errors import JobNotFound, Unavailable
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.port import NewJob
from thornback.providers.port import OrderPhase


class Platform(Rig):
    """A rig with a dispatcher over it."""

    def dispatcher(self, *, slots: int = 10, is_set_up: bool = True) -> Dispatcher:
        backends = [ProviderBackend("replicate", self.tracker, slots=slots)] if is_set_up else []
        return Dispatcher(
            recorder=self.recorder, reader=self.reader, backends=backends, settings=self.settings, now=now
        )

    async def post(self, name: str = "ada") -> str:
        """As the API does it."""
        spec = parse_spec({**LORA, "job_name": name}).model_dump(mode="json")
        self._posted = getattr(self, "_posted", 0) + 1
        job_id = f"0190a000-0000-7000-8000-{self._posted:012d}"
        await self.recorder.create(NewJob(job_id=job_id, spec=spec, user="ada", at=now()))
        return job_id

    def kinds(self, job_id: str) -> list[str]:
        return [event.kind.value for event in self.reader.events(0, job_id=job_id)]


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    platform = Platform(tmp_path)
    platform.start()
    yield platform
    await platform.close()


async def test_a_job_goes_to_the_provider_and_back(platform: Platform) -> None:
    dispatcher = platform.dispatcher()
    job_id = await platform.post()
    await dispatcher.tick()
    provider_id = await one_order(platform)
    await dispatcher.tick()
    platform.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())
    job = await platform.ended(job_id)
    await dispatcher.tick()
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
    assert "retried" not in platform.kinds(job_id)
    assert dispatcher.health()["ok"]


async def test_jobs_wait_for_slots(platform: Platform) -> None:
    dispatcher = platform.dispatcher(slots=1)
    first = await platform.post("first")
    second, third = await platform.post("second"), await platform.post("third")
    await dispatcher.tick()
    await dispatcher.tick()
    assert platform.job(second).reason == "waiting for a slot at replicate: 1 of 1 in use by 'first'"
    assert platform.job(third).reason == "waiting for a slot at replicate behind jobs that come first"
    platform.memory.move(await one_order(platform), OrderPhase.FAILED, error="boom")
    await platform.ended(first)
    await until(lambda: platform.tracker.health()["jobs"] == 0, "let go")
    await dispatcher.tick()
    await platform.taken(2)


async def test_without_any_slot_a_job_fails(platform: Platform) -> None:
    job_id = await platform.post()
    await platform.dispatcher(slots=0).tick()
    job = platform.job(job_id)
    assert job.failure is FailureReason.IMPOSSIBLE_RESOURCES
    assert "THORNBACK_PROVIDER_SLOTS" in str(job.error_message)


async def test_what_the_tracker_does_not_know_is_handed_over_and_never_lost(platform: Platform) -> None:
    """As after a webhook has taken a training over: it runs, and the tracker has not heard of it."""
    job_id = await platform.create()
    await platform.recorder.record([EventFactory(job_id).started(Attempt(1), at=now())])
    await platform.dispatcher().tick()
    await one_order(platform)
    assert (platform.job(job_id).status, platform.job(job_id).attempt) == (JobStatus.RUNNING, 1)
    assert "retried" not in platform.kinds(job_id)


async def test_a_cancel_is_the_trackers_to_carry_out(platform: Platform) -> None:
    dispatcher = platform.dispatcher()
    job_id = await platform.post()
    await dispatcher.tick()
    provider_id = await one_order(platform)
    await platform.until(job_id, lambda job: job.fact("provider_id"), "sent")
    await platform.kill()
    await platform.cancel(job_id)
    await platform.restart()
    await platform.dispatcher().tick()
    assert (await platform.ended(job_id)).status is JobStatus.CANCELLED
    assert platform.memory.cancels == [provider_id]


async def test_while_the_tracker_is_away_its_jobs_wait(platform: Platform) -> None:
    class Away(ProviderBackend):
        async def survey(self) -> None:  # type: ignore[override]
            raise Unavailable("the tracker of replicate is away")

    dispatcher = platform.dispatcher()
    dispatcher._backends = {"replicate": Away("replicate", platform.tracker)}
    job_id = await platform.post()
    await dispatcher.tick()
    assert platform.job(job_id).status is JobStatus.QUEUED
    assert "away" in str(dispatcher.health()["last_error"])


class TestNotSetUp:
    async def test_a_new_job_fails_and_says_what_to_do(self, platform: Platform) -> None:
        job_id = await platform.post()
        await platform.dispatcher(is_set_up=False).tick()
        job = platform.job(job_id)
        assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_REFUSED)
        assert "THORNBACK_REPLICATE_API_TOKEN" in str(job.error_message)

    async def test_one_that_was_ordered_is_left_to_its_webhooks(self, platform: Platform) -> None:
        job_id = await platform.create()
        await platform.dispatcher(is_set_up=False).tick()
        assert platform.job(job_id).final is None
        await platform.cancel(job_id)
        await platform.dispatcher(is_set_up=False).tick()
        job = platform.job(job_id)
        assert job.status is JobStatus.CANCELLED

    async def test_it_can_be_deleted(self, platform: Platform) -> None:
        job_id = await platform.post()
        picture = image_uri(platform.settings.storage, job_id, "ada", 1)
        locate(picture).write_bytes(b"jpeg")
        dispatcher = platform.dispatcher(is_set_up=False)
        await dispatcher.tick()
        events = EventFactory(job_id)
        await platform.recorder.record([events.cancel_requested(user="ada", at=now(), delete=True)])
        await dispatcher.tick()
        with pytest.raises(JobNotFound):
            platform.job(job_id)
        assert not locate(picture).exists()
