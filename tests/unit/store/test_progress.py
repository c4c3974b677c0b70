"""Points of progress, thinned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from thornback.jobs.progress import Origin
from thornback.store.progress import ProgressPoint, thin

AT = datetime(2026, 3, 1, tzinfo=UTC)


def point(number: int, origin: Origin = Origin.REPORTED, attempt: int = 1) -> ProgressPoint:
    at = AT + timedelta(seconds=number)
    return ProgressPoint(event_id=number, at=at, percent=number / 100, origin=origin, attempt=attempt)


def test_few_points_stay_as_they_are() -> None:
    points = [point(number) for number in range(10)]
    assert thin(points, 10) is points


def test_ends_and_turns_stay() -> None:
    origins = [Origin.ESTIMATED] * 333 + [Origin.PARSED] * 4444 + [Origin.ESTIMATED] + [Origin.PARSED] * 222
    points = [point(number, origin, 1 + (number > 900)) for number, origin in enumerate(origins)]
    kept = [found.event_id for found in thin(points, 100)]
    assert len(kept) <= 110
    assert {0, 332, 333, 900, 901, 4776, 4777, 4778, 4999} <= set(kept)


def test_turns_alone_never_break_the_bound() -> None:
    points = [point(number, [Origin.PARSED, Origin.ESTIMATED][number % 2]) for number in range(10_000)]
    kept = thin(points, 100)
    assert len(kept) < 200
    assert kept[-1] is points[-1]
