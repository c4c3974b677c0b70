"""The watch over a real recorder, database and dispatcher, on a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.dispatch.world import World
from thornback.dispatch.overrun import OverrunWatch
from thornback.jobs.status import FailureReason, JobStatus
from thornback.settings import Quota

# One CPU at 6 USD an hour, and half an hour is set aside.
PRICES: dict[str, Any] = {"prices": {"CPU": 6.0}, "reserve_hours": 0.5, "reserve_margin": 1.0, "cancel_grace_s": 5.0}


async def look(world: World, *, hours: float) -> list[str]:
    world.now += timedelta(hours=hours)
    watch = OverrunWatch(recorder=world.recorder, reader=world.reader, settings=world.settings, now=lambda: world.now)
    return await watch.look()


async def test_a_run_at_its_quota_fails_with_the_reason_and_frees_its_place(tmp_path: Path) -> None:
    world = await World(tmp_path, **PRICES, quota_user=Quota(usd_day=4.0)).start()
    try:
        job_id = await world.running("long")
        assert await look(world, hours=0.4) == []
        assert await look(world, hours=0.1) == [job_id]
        assert not world.job(job_id).cancel_requested
        assert await look(world, hours=0.16) == [job_id]
        assert world.job(job_id).cancel_requested
        await world.tick()
        await world.tick(seconds=6)
        await world.tick(seconds=1)
        job = world.job(job_id)
        assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.QUOTA_REACHED)
        assert job.error_message is not None
        assert job.error_message.startswith("user ada uses 3.")
        assert "thornback quota set ada" in job.error_message
        assert await look(world, hours=5) == []
    finally:
        await world.close()


@pytest.mark.parametrize("setting", ["finish", "stop"])
async def test_where_nothing_is_limited_runs_go_on(tmp_path: Path, setting: str) -> None:
    world = await World(tmp_path, **PRICES, quota_overrun=setting).start()
    try:
        job_id = await world.running("long")
        assert await look(world, hours=30) == [job_id]
        assert await look(world, hours=0.1) == []
        assert not world.job(job_id).cancel_requested
    finally:
        await world.close()
