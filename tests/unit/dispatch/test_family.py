"""Jobs that are parts of another job."""

from __future__ import annotations

from tests.unit.dispatch.world import World
from thornback.errors import JobNotFound
from thornback.jobs.events import EventKind
from thornback.store.page import NO_PARENT, JobQuery


async def test_a_part_ends_when_its_parent_is_cancelled(world: World) -> None:
    parent = await world.running("pipeline")
    part = await world.running("training", parent=parent)
    await world.cancel(parent)
    await world.tick()
    assert world.job(part).cancel_requested
    for _ in range(4):
        await world.tick(seconds=20)
    assert (world.job(parent).status, world.job(part).status) == ("cancelled", "cancelled")


async def test_a_parent_is_cancelled_when_its_parts_have_ended(world: World) -> None:
    parent = await world.running("pipeline")
    part = await world.running("training", parent=parent)
    await world.cancel(parent)
    await world.order(parent, "leave")  # its driver is quick
    for _ in range(3):
        await world.tick(seconds=1)
        assert (world.job(parent).final, world.job(part).final) == (None, None)  # within the part's grace
    assert world.job(part).cancel_requested
    for _ in range(4):
        await world.tick(seconds=5)
    ends = [event.job_id for event in world.reader.events(0) if event.kind is EventKind.CANCELLED]
    assert ends == [part, parent]


async def test_a_parent_that_was_stopped_from_outside_takes_its_parts_along(world: World) -> None:
    parent = await world.running("pipeline")
    part = await world.running("training", parent=parent)
    await world.backend.stop(str(world.job(parent).submission_id))
    for _ in range(6):
        await world.tick(seconds=5)
    assert (world.job(parent).status, world.job(part).status) == ("cancelled", "cancelled")


async def test_a_part_ends_when_its_parent_has_failed(world: World) -> None:
    parent = await world.running("pipeline", max_retries=0)
    part = await world.running("training", parent=parent)
    stranger = await world.running("other")
    await world.order(parent, "1")
    await world.tick()  # sees the exit
    await world.tick()
    assert world.job(parent).status == "failed"
    assert world.job(part).cancel_requested
    assert not world.job(stranger).cancel_requested


async def test_a_part_goes_on_while_its_parent_runs(world: World) -> None:
    parent = await world.running("pipeline")
    part = await world.running("training", parent=parent)
    await world.tick(seconds=10)
    assert world.job(part).status == "running"
    assert world.kinds(part).count("cancel_requested") == 0


async def test_deleting_a_job_deletes_its_parts(world: World) -> None:
    parent = await world.running("pipeline")
    ended = await world.running("first training", parent=parent)
    running = await world.running("second training", parent=parent)
    await world.order(ended, "succeed")
    await world.cancel(parent, delete=True)
    for _ in range(8):
        await world.tick(seconds=20)
    for job_id in (parent, ended, running):
        try:
            left = world.job(job_id)
        except JobNotFound:
            continue
        raise AssertionError(f"{left.job_name} is still there, {left.status}")


async def test_the_list_can_leave_parts_out(world: World) -> None:
    parent = await world.create("pipeline")
    part = await world.create("training", parent=parent)

    def ids(wanted: str | None) -> set[str]:
        return {row.state.id for row in world.reader.jobs(JobQuery(parent=wanted)).jobs}

    assert ids(None) == {parent, part}
    assert ids(NO_PARENT) == {parent}
    assert ids(parent) == {part}
    assert ids(part) == set()
    assert [job.id for job in world.reader.parts(parent)] == [part]
