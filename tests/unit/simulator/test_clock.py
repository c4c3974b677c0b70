"""Time that stands, goes and is turned; and what happens on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from thornback.simulator.clock import Clock
from thornback.simulator.scheduler import Run, Scheduler


def test_a_standing_clock_moves_only_by_hand() -> None:
    clock = Clock()
    start = clock.now()
    assert clock.now() == start
    clock.move_to(start + timedelta(seconds=5))
    clock.move_to(start)  # never back
    assert clock.now() - start == timedelta(seconds=5)
    assert clock.after(60) - clock.now() == timedelta(seconds=60)


def test_a_quick_clock_shows_real_time_and_shortens_work() -> None:
    clock = Clock(speed=60)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.scaled(3600) == 60


async def test_everything_happens_at_its_own_moment_in_order() -> None:
    clock = Clock()
    scheduler, start, seen = Scheduler(clock), clock.now(), list[tuple[str, float]]()

    async def run(name: str, *waits: float) -> Run:
        for wait in waits:
            seen.append((name, (clock.now() - start).total_seconds()))
            yield wait

    scheduler.add(run("a", 2.0, 2.0, 2.0))
    scheduler.add(run("b", 3.0, 0.5))
    await scheduler.advance(3.5)
    assert seen == [("a", 0.0), ("b", 0.0), ("a", 2.0), ("b", 3.0)]
    assert (clock.now() - start).total_seconds() == 3.5
    await scheduler.advance(100)
    assert seen[4:] == [("a", 4.0)]
    assert scheduler.idle


async def test_turning_waits_for_what_was_set_off() -> None:
    scheduler, done = Scheduler(Clock()), list[str]()

    async def work(name: str) -> None:
        done.append(name)
        if name == "first":
            scheduler.spawn(work("second"))

    async def run() -> Run:
        scheduler.spawn(work("first"))
        yield 1.0

    scheduler.add(run())
    await scheduler.advance()
    assert done == ["first", "second"]
    await scheduler.close()
    assert scheduler.idle
