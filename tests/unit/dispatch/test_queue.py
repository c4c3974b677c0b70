"""The queue held, let go, and put into another order."""

from __future__ import annotations

import asyncio

from tests.unit.dispatch.world import World, until
from thornback.jobs.events import EventFactory
from thornback.jobs.queue import PauseQueue, ResumeQueue
from thornback.jobs.status import JobStatus
from thornback.metrics.port import QueuePlace

HELD = "the queue is paused by root: a node is replaced"


async def pause(world: World) -> None:
    await world.recorder.administer(PauseQueue(by="root", at=world.now, reason="a node is replaced"))


async def test_a_paused_queue_starts_nothing_and_lets_run_what_runs(world: World) -> None:
    runs = await world.running("runs")
    await pause(world)
    waits = await world.create("waits")
    impossible = await world.create("vast", devices=9)
    for _ in range(2):
        await world.tick(seconds=1)
    assert (world.job(runs).status, world.job(waits).status) == (JobStatus.RUNNING, JobStatus.PENDING)
    assert world.place(waits) == QueuePlace(position=1, reason=HELD)
    assert world.job(impossible).final is JobStatus.FAILED  # no reason to keep anybody waiting for that
    assert world.dispatcher.health()["paused"] is True

    world.new_dispatcher()  # a restart changes nothing
    await world.tick(seconds=1)
    assert world.kinds(waits) == ["created", "pending"]
    await world.order(runs, "succeed")
    await world.tick()
    assert world.job(runs).final is JobStatus.COMPLETED

    await world.recorder.administer(ResumeQueue(by="root", at=world.now))
    await world.tick()
    assert world.job(waits).status is JobStatus.RUNNING
    assert world.dispatcher.health()["paused"] is False


async def test_a_waiting_job_leaves_a_paused_queue_when_it_is_cancelled(world: World) -> None:
    await pause(world)
    waits = await world.create("waits")
    await world.tick()
    await world.cancel(waits)
    await world.tick()
    assert world.job(waits).final is JobStatus.CANCELLED


async def test_another_priority_changes_who_comes_next_and_survives_a_restart(world: World) -> None:
    runs = await world.running("runs", devices=4)
    one, two = await world.create("one"), await world.create("two")
    await world.tick()
    assert [world.place(job).position for job in (one, two)] == [1, 2]  # type: ignore[union-attr]
    await world.recorder.record([EventFactory(two).prioritized(1, user="root", at=world.now)])
    world.new_dispatcher()
    await world.tick()
    assert [world.place(job).position for job in (one, two)] == [2, 1]  # type: ignore[union-attr]
    assert world.job(two).priority == 1
    await world.order(runs, "succeed")


async def test_a_change_of_priority_wakes_the_dispatcher(world: World) -> None:
    await world.running("runs", devices=4)
    one, two = await world.create("one"), await world.create("two")
    world.dispatcher._interval_s = 3600.0
    task = asyncio.create_task(world.dispatcher.run())
    try:
        await until(lambda: world.place(two) is not None)
        await world.recorder.record([EventFactory(two).prioritized(5, user="root", at=world.now)])
        await until(lambda: world.place(two) == QueuePlace(position=1, reason=world.place(one).reason))  # type: ignore[union-attr]
    finally:
        task.cancel()
