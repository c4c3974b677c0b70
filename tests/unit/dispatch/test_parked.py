"""A pipeline whose dataset waits for a person: it holds nothing, and goes on with the approval."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.dispatch.world import World
from thornback.errors import JobNotFound
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import JobStatus
from thornback.jobs.video_stages import IN_ORDER, VideoStage
from thornback.jobs.wishes import Wish
from thornback.metrics.port import NewJob

MakeWorld = Callable[..., Awaitable[World]]
REVIEW = VideoStage.REVIEW


async def pipeline(world: World, *, max_retries: int = 3) -> str:
    config = {"video_url": "https://x/y.mp4", "trigger_word": "TOK", "review": True, "base_model": "/m"}
    body: dict[str, Any] = {"kind": "video_lora", "backend": "ray", "job_name": "cat", "max_retries": max_retries}
    job_id = str(uuid.uuid4())
    spec = parse_spec(body | {"config": config}).model_dump(mode="json")
    await world.recorder.create(NewJob(job_id=job_id, spec=spec, user="ada", at=world.now))
    return job_id


async def in_review(world: World, **choices: Any) -> str:
    job_id = await pipeline(world, **choices)
    await world.tick()
    stage = EventFactory(job_id).stage(Attempt(1), index=IN_ORDER.index(REVIEW), name=REVIEW.value, at=world.now)
    await world.recorder.record([stage])
    await world.order(job_id, "park")
    await world.tick()
    return job_id


async def approve(world: World, job_id: str) -> None:
    await world.recorder.record([EventFactory(job_id).asked(Wish.APPROVE, user="ada", at=world.now)])


async def test_it_waits_visibly_and_nothing_of_it_runs(world: World) -> None:
    job_id = await in_review(world)
    for _ in range(3):
        await world.tick(seconds=3600)
    job = world.job(job_id)
    assert (job.status, job.waits_for, job.stage) == (JobStatus.PENDING, REVIEW.value, REVIEW.value)
    assert (world.place(job_id), world.reader.queue()) == (None, [])  # it stands in no line
    assert [one.id for one in world.backend.records.values() if one.state.phase.is_alive] == []
    assert world.kinds(job_id) == ["created", "scheduled", "started", "stage", "parked"]


async def test_reviews_hold_no_place_of_the_pipelines(make_world: MakeWorld) -> None:
    world = await make_world(max_pipelines=1)
    for _ in range(3):
        await in_review(world)
    other = await pipeline(world)
    await world.tick()
    assert world.job(other).status is JobStatus.RUNNING


async def test_the_approval_starts_it_again(world: World) -> None:
    job_id = await in_review(world)
    await approve(world, job_id)
    assert world.job(job_id).status is JobStatus.QUEUED
    await world.tick()
    job = world.job(job_id)
    assert (job.status, job.attempt) == (JobStatus.RUNNING, 2)


async def test_an_approval_that_came_before_the_driver_had_ended(world: World) -> None:
    job_id = await pipeline(world)
    await world.tick()
    await approve(world, job_id)
    await world.order(job_id, "park")
    await world.tick()
    assert (world.job(job_id).status, world.job(job_id).attempt) == (JobStatus.RUNNING, 2)


async def test_a_review_costs_no_retry(world: World) -> None:
    job_id = await in_review(world, max_retries=1)
    await approve(world, job_id)
    await world.tick()
    for lost, status in (("-9", JobStatus.RUNNING), ("-9", JobStatus.FAILED)):
        await world.order(job_id, lost)
        await world.tick()
        await world.tick(seconds=60)
        assert world.job(job_id).status is status
    assert world.job(job_id).attempt == 3


@pytest.mark.parametrize("delete", [False, True])
async def test_cancelled_and_deleted_without_a_driver(world: World, delete: bool) -> None:
    job_id = await in_review(world)
    await world.cancel(job_id, delete=delete)
    await world.tick()
    if not delete:
        assert world.job(job_id).final is JobStatus.CANCELLED
        return
    await world.tick()
    with pytest.raises(JobNotFound):
        world.job(job_id)


async def test_a_driver_that_has_parked_takes_itself_down(world: World) -> None:
    """It is stopped only where it does not."""

    def lives() -> list[bool]:
        return [driver.state.phase.is_alive for driver in world.backend.records.values()]

    job_id = await pipeline(world)
    await world.tick()
    await world.recorder.record([EventFactory(job_id).parked(Attempt(1), at=world.now)])
    await world.tick(seconds=14)
    assert lives() == [True]
    await world.tick(seconds=2)
    assert lives() == [False]
    assert world.job(job_id).status is JobStatus.PENDING
