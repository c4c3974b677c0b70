"""What the dispatcher does when drivers are lost and backends fail."""

from __future__ import annotations

import pytest

from tests.unit.dispatch.world import World
from thornback.backends.memory import MemoryBackend
from thornback.backends.port import Phase, Survey, submission_id
from thornback.errors import BackendError, Unavailable
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus


class TestLosses:
    async def test_a_killed_driver_is_started_again(self, world: World) -> None:
        job_id = await world.running("first")
        world.backend.kill(submission_id(job_id, 1))
        await world.tick()
        assert world.job(job_id).status is JobStatus.QUEUED
        assert "SIGKILL" in str(world.job(job_id).retry_message)

        await world.tick()
        assert world.job(job_id).submission_id == submission_id(job_id, 2)
        await world.order(job_id, "succeed")
        assert world.job(job_id).final is JobStatus.COMPLETED

    async def test_it_is_not_started_again_for_ever(self, world: World) -> None:
        job_id = await world.running("first", max_retries=2)
        for attempt in (1, 2, 3):
            world.backend.kill(submission_id(job_id, attempt))
            await world.tick()
            await world.tick()

        job = world.job(job_id)
        assert job.failure is FailureReason.DRIVER_LOST
        assert str(job.error_message).endswith("(attempt 3)")
        assert len(world.backend.records) == 3

    async def test_an_exception_fails_the_job_at_once(self, world: World) -> None:
        job_id = await world.running("first")
        await world.order(job_id, "1")
        await world.tick()

        job = world.job(job_id)
        assert job.failure is FailureReason.EXCEPTION
        assert job.error_message == "ValueError: negative loss"
        assert job.attempt == 1

    async def test_a_restarted_cluster_runs_the_job_again(self, world: World) -> None:
        job_id = await world.running("first")
        await world.backend.close()
        await world.tick()
        assert "restarted" in str(world.job(job_id).retry_message)
        await world.tick()
        assert world.job(job_id).submission_id == submission_id(job_id, 2)

    async def test_a_crash_between_writing_down_and_submitting(self, world: World) -> None:
        job_id = await world.create("first")
        event = EventFactory(job_id).scheduled(Attempt(1), submission_id=submission_id(job_id, 1), at=world.now)
        await world.recorder.record([event])

        world.new_dispatcher()
        await world.tick()

        assert world.job(job_id).status is JobStatus.RUNNING
        assert world.kinds(job_id).count("scheduled") == 1

    async def test_an_old_attempt_that_still_runs_is_stopped(self, world: World) -> None:
        job_id = await world.running("first")
        event = EventFactory(job_id).retried(Attempt(2), reason=FailureReason.NODE_LOST, message="gone", at=world.now)
        await world.recorder.record([event])
        await world.tick()
        assert (await world.backend.state(submission_id(job_id, 1))).phase is Phase.STOPPED

    async def test_a_driver_that_lingers_after_its_end_is_stopped(self, world: World) -> None:
        job_id = await world.running("first")
        await world.recorder.record([EventFactory(job_id).succeeded(Attempt(1), at=world.now)])

        await world.tick(seconds=10)
        assert (await world.backend.state(submission_id(job_id, 1))).phase is Phase.RUNNING
        await world.tick(seconds=10)
        assert (await world.backend.state(submission_id(job_id, 1))).phase is Phase.STOPPED
        assert world.job(job_id).final is JobStatus.COMPLETED


class Faulty(MemoryBackend):
    """Refuses, or does not answer, for the jobs and calls that a test names."""

    refused: frozenset[str] = frozenset()
    away = False
    broken: frozenset[str] = frozenset()

    async def start(self, job: JobState, attempt: int) -> None:
        if job.job_name in self.refused:
            raise BackendError("Ray refused: no disk")
        if job.job_name in self.broken:
            raise Unavailable("Ray does not answer")
        await super().start(job, attempt)

    async def survey(self) -> Survey:
        if self.away:
            raise Unavailable("Ray does not answer")
        return await super().survey()


@pytest.fixture
def faulty(world: World) -> Faulty:
    world.backend = Faulty(world._entry, nodes=world.backend.nodes)
    world.new_dispatcher()
    return world.backend


class TestFaults:
    async def test_a_refused_submission_is_tried_again_after_a_rest(self, world: World, faulty: Faulty) -> None:
        faulty.refused = frozenset({"first"})
        job_id = await world.create("first")
        await world.tick()
        assert world.job(job_id).retry_message == "Ray refused: no disk"
        await world.tick(seconds=0.5)
        assert world.job(job_id).status is JobStatus.PENDING

        faulty.refused = frozenset()
        await world.tick(seconds=1)
        assert world.job(job_id).status is JobStatus.RUNNING

    async def test_refused_too_often_it_fails_with_the_reason(self, world: World, faulty: Faulty) -> None:
        faulty.refused = frozenset({"first"})
        job_id = await world.create("first", max_retries=1)
        for _ in range(3):
            await world.tick(seconds=5)

        assert world.job(job_id).failure is FailureReason.SUBMIT_FAILED
        assert world.job(job_id).error_message == "Ray refused: no disk (attempt 2)"

    async def test_a_backend_that_does_not_answer_costs_no_retry(self, world: World, faulty: Faulty) -> None:
        faulty.broken = frozenset({"first"})
        job_id = await world.create("first", max_retries=0)
        for _ in range(3):
            await world.tick(seconds=5)
        assert not world.dispatcher.health()["ok"]

        faulty.broken = frozenset()
        await world.tick()
        assert world.job(job_id).status is JobStatus.RUNNING
        assert world.dispatcher.health()["ok"]

    async def test_one_jobs_trouble_does_not_stop_the_others(self, world: World, faulty: Faulty) -> None:
        faulty.broken = frozenset({"first"})
        first = await world.create("first")
        second = await world.create("second")
        await world.tick()

        assert world.job(second).status is JobStatus.RUNNING
        assert world.dispatcher.health()["last_error"]["job_id"] == first

    async def test_nothing_is_taken_for_lost_while_the_backend_is_away(self, world: World, faulty: Faulty) -> None:
        job_id = await world.running("first")
        faulty.away = True
        await world.tick(seconds=60)

        assert world.job(job_id).status is JobStatus.RUNNING
        assert world.dispatcher.health()["last_error"]["message"] == "Ray does not answer"

        faulty.away = False
        await world.tick()
        assert world.job(job_id).attempt == 1

    async def test_a_fault_of_a_step_is_shown_and_not_fatal(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def boom(key: str) -> None:
            raise RuntimeError(f"no {key}")

        job_id = await world.running("first")
        await world.cancel(job_id)
        await world.tick()
        monkeypatch.setattr(world.backend, "stop", boom)
        await world.tick(seconds=60)

        health = world.dispatcher.health()
        assert not health["ok"]
        assert health["last_error"]["message"] == f"RuntimeError: no {submission_id(job_id, 1)}"
