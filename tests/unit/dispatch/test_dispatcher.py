"""The dispatcher over a real recorder and database, with a backend in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.unit.dispatch.world import World, until
from thornback.artifacts.files import locate
from thornback.artifacts.layout import image_uri
from thornback.backends.memory import MemoryBackend
from thornback.backends.port import Phase, Resources, submission_id
from thornback.errors import JobNotFound, StoreUnavailable, Unavailable
from thornback.jobs.events import JobEvent
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.port import NewJob, Page, QueuePlace

MakeWorld = Callable[..., Awaitable[World]]


async def test_a_job_starts_runs_and_ends(world: World) -> None:
    job_id = await world.running("first")

    await world.order(job_id, "succeed")
    await world.tick()

    assert world.job(job_id).final is JobStatus.COMPLETED
    assert world.kinds(job_id) == ["created", "scheduled", "started", "succeeded"]


async def test_scheduled_is_committed_before_the_backend_is_called(world: World) -> None:
    seen: list[str | None] = []

    class Watching(MemoryBackend):
        async def start(self, job: JobState, attempt: int) -> None:
            seen.append(world.job(job.id).submission_id)
            await super().start(job, attempt)

    world.new_dispatcher(Watching(world._entry, nodes=world.backend.nodes))
    job_id = await world.create("first")
    await world.dispatcher.tick()

    assert seen == [submission_id(job_id, 1)]


class TestWaiting:
    async def test_a_reason_is_recorded_once_and_a_place_kept(self, world: World) -> None:
        first = await world.running("first", devices=4)
        waiting = await world.create("second")
        for _ in range(3):
            await world.tick(seconds=1)

        assert world.kinds(waiting) == ["created", "pending"]
        assert world.job(waiting).reason == "waiting for 1 CPU: 4 of 4 in use by 'first'"
        assert world.place(waiting) == QueuePlace(position=1, reason="waiting for 1 CPU: 4 of 4 in use by 'first'")

        await world.order(first, "succeed")
        await world.tick()
        assert world.job(waiting).status is JobStatus.RUNNING
        assert world.place(waiting) is None

    async def test_places_are_written_only_when_they_change(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[int] = []
        set_queue = world.recorder.set_queue

        async def counting(places: Any) -> None:
            written.append(len(places))
            await set_queue(places)

        monkeypatch.setattr(world.recorder, "set_queue", counting)
        await world.running("first", devices=4)
        await world.create("second")
        for _ in range(3):
            await world.tick(seconds=1)

        assert written == [0, 1]

    async def test_what_can_never_run_fails_at_once(self, world: World) -> None:
        job_id = await world.create("vast", devices=9)
        await world.tick()

        job = world.job(job_id)
        assert job.failure is FailureReason.IMPOSSIBLE_RESOURCES
        assert job.error_message == "needs 9 workers with 1 CPU each; the cluster has 4 CPUs"

    async def test_a_job_that_waited_here_is_not_impossible_after_a_restart_with_fewer_nodes(
        self, world: World
    ) -> None:
        await world.running("first", devices=4)
        waiting = await world.create("second", devices=4)
        await world.tick()

        world.backend.nodes["node"] = Resources(2.0)
        world.new_dispatcher()
        await world.tick(seconds=1)

        assert world.job(waiting).status is JobStatus.PENDING
        assert world.job(waiting).reason == (
            "waiting for nodes to come back: needs 4 workers with 1 CPU each; the cluster has 2 CPUs"
        )

    async def test_users_take_turns(self, world: World) -> None:
        for name in ("ada 1", "ada 2", "ada 3"):
            await world.create(name, user="ada", devices=4)
        await world.create("grace 1", user="grace", devices=4)

        order = []
        for _ in range(4):
            await world.tick(seconds=1)
            [running] = [job for job in world.reader.active() if job.status is JobStatus.RUNNING]
            order.append(running.job_name)
            await world.order(running.id, "succeed")

        assert order == ["ada 1", "grace 1", "ada 2", "ada 3"]

    async def test_an_autoscaling_cluster_is_asked_to_grow_and_then_let_be(self, make_world: MakeWorld) -> None:
        world = await make_world(cluster_limits={"CPU": 16})
        job_id = await world.create("wide", devices=8)
        await world.tick()
        assert world.job(job_id).status is JobStatus.PENDING
        assert world.backend.requested == (Resources(1.0),) * 8

        world.backend.nodes["new node"] = Resources(12.0)
        await world.tick()

        assert world.job(job_id).status is JobStatus.RUNNING
        assert not world.backend.requested

    async def test_an_autoscaler_is_asked_again_while_jobs_wait_for_it(self, make_world: MakeWorld) -> None:
        world = await make_world(cluster_limits={"CPU": 16})
        await world.create("wide", devices=8)
        await world.tick()
        world.backend.requested = tuple[Resources, ...]()  # Ray Train's own request has taken its place
        await world.tick(seconds=1)
        assert not world.backend.requested
        await world.tick(seconds=5)
        assert world.backend.requested == (Resources(1.0),) * 8

    async def test_a_spec_that_cannot_be_read_fails_alone(self, world: World) -> None:
        spec = {"kind": "convnext", "backend": "ray", "job_name": "odd", "priority": 0, "from_the_future": True}
        new = NewJob(job_id="6e0c0c5c-8c0e-4d0b-9a7e-0d3f0a9d9d11", spec=spec, user="ada", at=world.now)
        await world.recorder.create(new)
        good = await world.running("good")

        job = world.job(new.job_id)
        assert job.final is JobStatus.FAILED
        assert "from_the_future" in str(job.error_message)
        assert world.job(good).status is JobStatus.RUNNING


class TestCancel:
    async def test_a_waiting_job_ends_at_once(self, world: World) -> None:
        job_id = await world.create("first")
        await world.cancel(job_id)
        await world.tick()
        assert world.job(job_id).final is JobStatus.CANCELLED
        assert not world.backend.records

    async def test_a_running_job_may_end_by_itself(self, world: World) -> None:
        job_id = await world.running("first")
        await world.cancel(job_id)
        await world.tick()
        assert world.job(job_id).final is None

        await world.order(job_id, "leave")
        await world.tick(seconds=1)

        assert world.job(job_id).final is JobStatus.CANCELLED

    async def test_a_running_job_is_stopped_after_its_grace(self, world: World) -> None:
        job_id = await world.running("first")
        name = submission_id(job_id, 1)
        await world.cancel(job_id)
        await world.tick()
        await world.tick(seconds=world.settings.cancel_grace_s - 0.1)
        assert (await world.backend.state(name)).phase is Phase.RUNNING

        await world.tick(seconds=0.1)
        assert (await world.backend.state(name)).phase is Phase.STOPPED
        await world.tick()
        assert world.job(job_id).final is JobStatus.CANCELLED

    async def test_a_completion_that_came_first_stands(self, world: World) -> None:
        job_id = await world.running("first")
        await world.order(job_id, "succeed")
        await world.cancel(job_id)
        await world.tick(seconds=60)
        assert world.job(job_id).final is JobStatus.COMPLETED

    async def test_a_stop_from_outside_is_a_cancel(self, world: World) -> None:
        job_id = await world.running("first")
        await world.backend.stop(submission_id(job_id, 1))
        await world.tick()
        assert world.job(job_id).final is JobStatus.CANCELLED


class TestDelete:
    @pytest.mark.parametrize("crash", [False, True])
    async def test_a_running_job_is_cancelled_and_then_all_of_it_goes(self, world: World, crash: bool) -> None:
        job_id = await world.running("first")
        folder = world.settings.home / "runs" / job_id
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_text("weights")

        await world.cancel(job_id, delete=True)
        await world.tick()
        if crash:
            world.new_dispatcher()
        for _ in range(4):
            await world.tick(seconds=world.settings.cancel_grace_s)

        with pytest.raises(JobNotFound):
            world.job(job_id)
        assert not folder.exists()
        assert not world.backend.records
        assert world.kinds(job_id) == ["deleted"]

    async def test_a_completed_job_goes(self, world: World) -> None:
        job_id = await world.running("first")
        picture = locate(image_uri(world.settings.storage, job_id, "Mira", 1))
        picture.write_bytes(b"picture")
        await world.order(job_id, "succeed")
        await world.cancel(job_id, delete=True)
        await world.tick()
        with pytest.raises(JobNotFound):
            world.job(job_id)
        assert not picture.exists()

    async def test_a_waiting_job_goes(self, world: World) -> None:
        job_id = await world.create("first")
        await world.cancel(job_id, delete=True)
        await world.tick()
        await world.tick()
        with pytest.raises(JobNotFound):
            world.job(job_id)

    async def test_files_that_cannot_be_deleted_keep_the_wish(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(uri: str) -> None:
            raise PermissionError(uri)

        job_id = await world.running("first")
        await world.order(job_id, "succeed")
        await world.cancel(job_id, delete=True)
        with monkeypatch.context() as patch:
            patch.setattr("thornback.dispatch.belongings.locate", refuse)
            await world.tick()
        assert world.job(job_id).delete_requested
        assert world.dispatcher.health()["last_error"]["job_id"] == job_id

        await world.tick()
        with pytest.raises(JobNotFound):
            world.job(job_id)


async def test_health_counts_and_shows_the_capacity(world: World) -> None:
    assert not world.dispatcher.health()["ok"]  # it has not looked yet
    await world.running("first", devices=3)
    await world.create("second", devices=4)
    await world.tick()

    health = world.dispatcher.health()
    assert health["ok"]
    assert health["running"] == 1
    assert health["waiting"] == 1
    assert health["capacity"] == {
        "ray": {"nodes": 1, "cpus": {"total": 4.0, "free": 1.0}, "gpus": {"total": 0.0, "free": 0.0}}
    }
    world.now = world.now.replace(hour=23)
    assert not world.dispatcher.health()["ok"]  # its last look is long ago


class TestRun:
    """The loop around the looks."""

    async def test_a_new_job_wakes_it(self, make_world: MakeWorld) -> None:
        world = await make_world(dispatch_interval_s=3600)
        run = asyncio.create_task(world.dispatcher.run())
        await until(lambda: world.dispatcher.health()["ticks"] > 0)

        job_id = await world.create("first")

        await until(lambda: world.job(job_id).status is JobStatus.RUNNING)
        run.cancel()

    async def test_it_outlives_a_database_and_a_feed_that_are_away(
        self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = await make_world(dispatch_interval_s=0.02)
        poll, record = world.recorder.poll, world.recorder.record
        asked = {"poll": 0, "record": 0}

        async def failing_poll(cursor: int, *, timeout_s: float, limit: int = 1000) -> Page:
            asked["poll"] += 1
            if asked["poll"] == 1:
                raise Unavailable("the metrics actor is away")
            return await poll(cursor, timeout_s=timeout_s, limit=limit)

        async def failing_record(events: Sequence[JobEvent], **more: Any) -> Any:
            asked["record"] += 1
            if asked["record"] == 1:
                raise StoreUnavailable("the disk is full")
            return await record(events, **more)

        job_id = await world.create("first")
        monkeypatch.setattr(world.recorder, "poll", failing_poll)
        monkeypatch.setattr(world.recorder, "record", failing_record)
        run = asyncio.create_task(world.dispatcher.run())
        await until(lambda: world.job(job_id).status is JobStatus.RUNNING)
        run.cancel()
        assert asked["record"] > 1
