"""The clock of a machine jumps by an hour and more, back and forth: nobody waits for it to come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.dispatch.test_dispatcher_faults import Faulty
from tests.unit.dispatch.world import World
from tests.unit.remote import rig as remote
from tests.unit.remote.test_training import finished, one_order
from thornback.backends.port import Phase, submission_id
from thornback.jobs.status import JobStatus
from thornback.providers.port import OrderPhase

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A dispatcher whose clock a test turns."""
    world = await World(tmp_path / "home").start()
    yield world
    await world.close()


async def test_a_cancel_is_not_put_off(world: World) -> None:
    job_id = await world.running("first")
    await world.cancel(job_id)
    await world.tick()
    await world.tick(seconds=-DAY.total_seconds())
    assert (await world.backend.state(submission_id(job_id, 1))).phase is Phase.STOPPED
    await world.tick()
    assert world.job(job_id).final is JobStatus.CANCELLED


async def test_a_stop_is_asked_for_again(world: World) -> None:
    job_id = await world.running("first")
    name = submission_id(job_id, 1)
    await world.cancel(job_id)
    await world.tick()
    asked: list[str] = []
    stop = world.backend.stop

    async def deaf(submission: str) -> None:
        asked.append(submission)

    world.backend.stop = deaf  # type: ignore[method-assign, assignment]
    await world.tick(seconds=world.settings.cancel_grace_s)
    await world.tick(seconds=1)
    assert asked == [name]
    world.backend.stop = stop  # type: ignore[method-assign]
    await world.tick(seconds=-DAY.total_seconds())
    assert (await world.backend.state(name)).phase is Phase.STOPPED


async def test_a_refused_job_does_not_rest_for_a_day(world: World) -> None:
    faulty = world.backend = Faulty(world._entry, nodes=world.backend.nodes)
    world.new_dispatcher()
    faulty.refused = frozenset({"first"})
    job_id = await world.create("first")
    await world.tick()
    faulty.refused = frozenset()
    await world.tick(seconds=-DAY.total_seconds())
    assert world.job(job_id).status is JobStatus.RUNNING


@pytest.mark.parametrize("jump", [-DAY, -HOUR, HOUR])
async def test_an_order_is_followed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: timedelta) -> None:
    shift = timedelta()
    monkeypatch.setattr(remote, "now", lambda: datetime.now(UTC) + shift)
    rig = remote.Rig(tmp_path)
    rig.start()
    try:
        job_id = await rig.order()
        provider_id = await one_order(rig)
        await rig.until(job_id, lambda job: job.fact("provider_id") == provider_id, "sent")
        rig.memory.move(provider_id, OrderPhase.PROCESSING, logs="loading\n")
        await rig.until(job_id, lambda job: job.started_at, "started")
        shift = jump
        rig.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())
        job = await rig.ended(job_id)
        assert job.status is JobStatus.COMPLETED, job.error_message
        assert len(rig.memory.taken) == 1
    finally:
        await rig.close()
