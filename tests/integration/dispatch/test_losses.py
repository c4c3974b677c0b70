"""Processes that are killed: the job goes on from its checkpoint, or ends with the true reason."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.dispatch import entry
from tests.integration.dispatch.rig import Rig, eventually, open_gate
from thornback.backends.port import submission_id
from thornback.dispatch.actor import DISPATCHER_ACTOR
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.names import METRICS_ACTOR

KILLED = "the driver was killed (SIGKILL): by hand, or by the system because memory ran out"


async def test_a_killed_driver_is_taken_up_again_with_the_same_rows(rig: Rig, tmp_path: Path) -> None:
    job = await rig.paused(tmp_path)

    os.kill(job.fact("driver_pid"), signal.SIGKILL)
    job = await rig.until(job.id, lambda job: job.attempt == 2)
    assert job.retry_message == KILLED
    open_gate(tmp_path)
    job = await rig.until(job.id, lambda job: job.final)

    assert job.final is JobStatus.COMPLETED
    assert job.submission_id == submission_id(job.id, 2)
    assert [row.epoch for row in rig.reader.metrics(job.id)] == [1, 2, 3, 4]


async def test_retries_come_to_an_end_with_the_true_reason(rig: Rig, tmp_path: Path) -> None:
    job = await rig.paused(tmp_path, max_retries=1)

    os.kill(job.fact("driver_pid"), signal.SIGKILL)
    first = job.fact("driver_pid")
    job = await rig.until(job.id, lambda job: job.fact("driver_pid") != first and job.status is JobStatus.RUNNING)
    os.kill(job.fact("driver_pid"), signal.SIGKILL)
    job = await rig.until(job.id, lambda job: job.final)

    assert job.final is JobStatus.FAILED
    assert job.failure is FailureReason.DRIVER_LOST
    assert job.error_message == f"{KILLED} (attempt 2)"


@pytest.mark.parametrize(
    ("end", "reason", "message"),
    [
        ("raise", FailureReason.EXCEPTION, entry.EXCEPTION),
        ("out_of_memory", FailureReason.OUT_OF_MEMORY, entry.OUT_OF_MEMORY.partition(": ")[2]),
        ("exit", FailureReason.EXIT_CODE, f"the driver ended with exit code {entry.EXIT_CODE}"),
    ],
)
async def test_a_driver_that_ends_in_error_fails_its_job_at_once(
    rig: Rig, end: str, reason: FailureReason, message: str
) -> None:
    job_id = await rig.create("fails", epochs=1, tags={"end": end})

    job = await rig.until(job_id, lambda job: job.final)

    assert job.failure is reason
    assert job.error_message is not None
    assert job.error_message.startswith(message)
    assert job.attempt == 1


async def test_a_killed_dispatcher_loses_nothing(rig: Rig, tmp_path: Path) -> None:
    running = await rig.paused(tmp_path, devices=4)
    old = rig.kill_actor(DISPATCHER_ACTOR)
    waiting = await rig.create("came meanwhile")

    await rig.until(waiting, lambda job: job.status is JobStatus.PENDING)
    assert rig.actor_pid(DISPATCHER_ACTOR) not in (None, old)
    open_gate(tmp_path)

    for job_id in (running.id, waiting):
        job = await rig.until(job_id, lambda job: job.final)
        assert job.final is JobStatus.COMPLETED
        assert job.attempt == 1


async def test_a_dispatcher_killed_between_writing_down_and_submitting_submits(rig: Rig, tmp_path: Path) -> None:
    rig.end_actor(DISPATCHER_ACTOR)
    job_id = await rig.create("was to start")
    await rig.schedule(job_id)

    rig.start_dispatcher()

    job = await rig.until(job_id, lambda job: job.final)
    assert job.final is JobStatus.COMPLETED
    assert rig.kinds(job_id).count("scheduled") == 1


async def test_a_killed_metrics_actor_loses_nothing(rig: Rig, tmp_path: Path) -> None:
    job = await rig.paused(tmp_path)

    old = rig.kill_actor(METRICS_ACTOR)
    open_gate(tmp_path)

    job = await rig.until(job.id, lambda job: job.final)
    assert job.final is JobStatus.COMPLETED
    assert job.attempt == 1
    assert [row.epoch for row in rig.reader.metrics(job.id)] == [1, 2, 3, 4]
    assert rig.actor_pid(METRICS_ACTOR) not in (None, old)


async def test_what_runs_and_should_not_is_stopped(rig: Rig, tmp_path: Path) -> None:
    job = await rig.paused(tmp_path)

    await rig.recorder.delete(job.id)

    async def has_ended() -> bool:
        return not (await rig.phase(job)).is_alive

    await eventually(has_ended, "the stray submission has ended", within_s=20)
