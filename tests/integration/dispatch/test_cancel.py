"""Cancelling and deleting: processes end, resources come back, rows and files go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.dispatch.rig import Rig, eventually, is_alive, pids
from thornback.backends.port import Phase, Resources
from thornback.dispatch.actor import DISPATCHER_ACTOR
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus

STUBBORN = {"stubborn": "yes"}


async def ended(rig: Rig, job: JobState) -> None:
    """Wait until no process of a run is left and its CPUs are free."""
    await eventually(lambda: not any(map(is_alive, pids(job))), "driver and workers have ended", within_s=10)
    await eventually(rig.all_free, "all CPUs are free", within_s=10)


async def forgotten(rig: Rig, job: JobState) -> None:
    """Wait until Ray knows nothing of it: it may write down the end of a driver once more, and is made to forget it."""
    async with asyncio.timeout(20):
        while await rig.phase(job) is not Phase.UNKNOWN:  # noqa: ASYNC110 - Ray has no event for it
            await asyncio.sleep(0.2)


async def test_a_cancelled_job_ends_by_itself_and_frees_what_it_held(
    make_rig: Callable[..., Rig], tmp_path: Path
) -> None:
    rig = make_rig(cancel_grace_s=60)
    job = await rig.paused(tmp_path, devices=2)
    survey = await rig.backend.survey()
    assert survey.holdings[str(job.submission_id)] == Resources(2.0, 0.0)
    assert survey.free.cpus == 2.0

    await rig.cancel(job.id)
    job = await rig.until(job.id, lambda job: job.final, within_s=30)

    assert job.final is JobStatus.CANCELLED
    assert await rig.phase(job) is Phase.SUCCEEDED  # it heard of the cancel and ended with exit code 0
    await ended(rig, job)


async def test_a_job_that_does_not_hear_is_killed(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig(cancel_grace_s=0.5)
    job = await rig.paused(tmp_path, tags=STUBBORN)

    await rig.cancel(job.id)
    job = await rig.until(job.id, lambda job: job.final, within_s=20)

    assert job.final is JobStatus.CANCELLED
    await ended(rig, job)


async def test_a_waiting_job_is_cancelled_at_once(rig: Rig, tmp_path: Path) -> None:
    await rig.paused(tmp_path, devices=4)
    waiting = await rig.create("waits")
    await rig.until(waiting, lambda job: job.status is JobStatus.PENDING)

    await rig.cancel(waiting)

    job = await rig.until(waiting, lambda job: job.final, within_s=10)
    assert job.final is JobStatus.CANCELLED
    assert "scheduled" not in rig.kinds(waiting)


async def test_an_end_that_came_before_the_cancel_stands(rig: Rig, tmp_path: Path) -> None:
    job = await rig.paused(tmp_path)

    await rig.recorder.record([EventFactory(job.id).succeeded(Attempt(1), at=datetime.now(UTC))])
    await rig.cancel(job.id)
    await rig.backend.stop(str(job.submission_id))

    await ended(rig, job)
    assert rig.job(job.id).final is JobStatus.COMPLETED


async def test_deleting_a_running_job_leaves_nothing(rig: Rig, tmp_path: Path) -> None:
    job = await rig.paused(tmp_path)
    assert rig.has_files(job.id)

    await rig.cancel(job.id, delete=True)
    await eventually(lambda: not rig.exists(job.id), "the rows are gone", within_s=20)

    assert not rig.has_files(job.id)
    await forgotten(rig, job)
    assert rig.kinds(job.id) == ["deleted"]
    await ended(rig, job)


async def test_deleting_a_completed_job_leaves_nothing(rig: Rig) -> None:
    job_id = await rig.create("short", epochs=1)
    job = await rig.until(job_id, lambda job: job.final)

    await rig.cancel(job_id, delete=True)
    await eventually(lambda: not rig.exists(job_id), "the rows are gone", within_s=20)

    assert not rig.has_files(job_id)
    await forgotten(rig, job)


async def test_a_delete_survives_the_death_of_the_dispatcher(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig(cancel_grace_s=0.5)
    job = await rig.paused(tmp_path, tags=STUBBORN)

    await rig.cancel(job.id, delete=True)
    old = rig.kill_actor(DISPATCHER_ACTOR)

    await eventually(lambda: not rig.exists(job.id), "the rows are gone", within_s=40)
    assert rig.actor_pid(DISPATCHER_ACTOR) not in (None, old)
    assert not rig.has_files(job.id)
    await ended(rig, job)


async def test_a_job_stopped_with_rays_own_tools_is_cancelled(rig: Rig, tmp_path: Path) -> None:
    job = await rig.paused(tmp_path)

    await rig.backend.stop(str(job.submission_id))

    job = await rig.until(job.id, lambda job: job.final, within_s=20)
    assert job.final is JobStatus.CANCELLED
    [end] = [event for event in rig.reader.events(0, job_id=job.id) if event.kind.is_final]
    assert end.data["message"] == "its Ray job was stopped from outside"
