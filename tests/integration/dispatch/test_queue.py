"""Waiting for resources, and starting when they come free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.integration.dispatch.rig import Rig, open_gate
from thornback.jobs.status import JobStatus


async def test_a_job_waits_with_its_reason_and_place_and_starts_when_resources_free_up(
    rig: Rig, tmp_path: Path
) -> None:
    first = await rig.paused(tmp_path, "first", devices=3)
    big = await rig.create("big", devices=2)
    small = await rig.create("small")  # one CPU is free, and `big` has a claim to it

    job = await rig.until(big, lambda job: job.status is JobStatus.PENDING)
    assert job.reason == "waiting for 2 CPUs: 3 of 4 in use by 'first'"
    job = await rig.until(small, lambda job: job.status is JobStatus.PENDING)
    assert job.reason == "waiting for 1 CPU behind jobs that come first"
    # the places are written after the reasons
    await rig.until(small, lambda _: rig.place(small) is not None)
    assert [rig.place(big), rig.place(small)] == [1, 2]

    open_gate(tmp_path)
    for job_id in (first.id, big, small):
        job = await rig.until(job_id, lambda job: job.final)
        assert job.final is JobStatus.COMPLETED
    assert rig.reader.job(big).queue is None
    assert rig.kinds(big).count("pending") <= 3  # once per reason, not once per look


async def test_no_more_jobs_run_than_the_settings_allow(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    rig = make_rig(max_running_jobs=1)
    first = await rig.paused(tmp_path, "first")
    second = await rig.create("second")

    job = await rig.until(second, lambda job: job.status is JobStatus.PENDING)
    assert job.reason == "waiting for one of 1 running jobs to end (THORNBACK_MAX_RUNNING_JOBS)"

    open_gate(tmp_path)
    for job_id in (first.id, second):
        assert (await rig.until(job_id, lambda job: job.final)).final is JobStatus.COMPLETED
