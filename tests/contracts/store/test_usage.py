"""Who used what, against rows whose sums can be checked by hand, on both databases."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.contracts.store.conftest import RUN, Store, job_id
from thornback.jobs.events import EventFactory
from thornback.metrics.port import NewJob
from thornback.store.usage import Usage, read_usage

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def run(
    store: Store,
    backend: str,
    *,
    user: str = "ada",
    kind: str = "lora",
    hours: float | None = 1,
    at: int = 0,
    **more: Any,
) -> None:
    """A job that was created `at` hours after the first of March; `hours` None: it goes on."""
    make = EventFactory(str(uuid.uuid4()))
    begin = DAY + timedelta(hours=at)
    config = {"devices": more.pop("devices")} if "devices" in more else {}
    spec = {"kind": kind, "backend": backend, "job_name": "x", "priority": 0, "tags": {}, "config": config}
    store.writer.create(NewJob(job_id=job_id(make), spec=spec, user=user, at=begin))
    events = [make.started(RUN, at=begin), make.described(RUN, more, seq=0, at=begin)]
    if hours is not None:
        events.append(make.succeeded(RUN, at=begin + timedelta(hours=hours)))
    store.writer.commit(events)


def total(store: Store, since: datetime | None = None, until: datetime | None = None) -> Usage:
    [only] = read_usage(store.reader.engine, by=(), since=since, until=until)
    return only


def test_nothing_is_known_of_nothing(store: Store) -> None:
    assert read_usage(store.reader.engine) == []
    found = total(store)
    assert (found.jobs, found.settled_usd, found.estimated_usd, found.device_hours) == (0, None, None, None)


def test_costs_are_told_apart_from_estimates_and_from_what_nobody_knows(store: Store) -> None:
    run(store, "fal", cost_usd=2.0, cost_estimate_usd=9.0)
    run(store, "fal", cost_usd=0.5)
    run(store, "replicate", cost_estimate_usd=4.0)
    run(store, "replicate")
    run(store, "replicate", kind="video_lora", cost_usd=100.0)  # the sum of its parts, which are counted
    found = total(store)
    assert (found.jobs, found.settled_jobs, found.settled_usd) == (5, 2, 2.5)
    assert (found.estimated_jobs, found.estimated_usd, found.unknown_jobs) == (1, 4.0, 1)
    assert (found.timed_jobs, found.device_hours, found.untimed_jobs) == (0, None, 0)


def test_device_hours_are_those_of_own_jobs(store: Store) -> None:
    run(store, "ray", hours=2, devices=4)
    run(store, "ray", hours=0.5)
    run(store, "ray", hours=None, devices=8)
    run(store, "ray", kind="video_lora", hours=20)  # its driver takes no device; its parts do
    store.create("waits")
    found = total(store)
    assert found.device_hours == pytest.approx(2 * 4 + 0.5, abs=1e-4)
    assert (found.jobs, found.timed_jobs, found.untimed_jobs, found.unknown_jobs) == (5, 2, 1, 0)


def test_in_groups(store: Store) -> None:
    run(store, "ray", at=1)
    run(store, "ray", at=30, user="bob")
    run(store, "fal", at=30, user="bob", cost_usd=1.0)
    rows = read_usage(store.reader.engine)
    assert [(row.day, row.user, row.backend, row.jobs) for row in rows] == [
        (date(2026, 3, 1), "ada", "ray", 1),
        (date(2026, 3, 2), "bob", "fal", 1),
        (date(2026, 3, 2), "bob", "ray", 1),
    ]
    by_user = read_usage(store.reader.engine, by=("user",))
    assert [(row.day, row.user, row.kind, row.jobs) for row in by_user] == [
        (None, "ada", None, 1),
        (None, "bob", None, 2),
    ]
    later = read_usage(
        store.reader.engine, since=DAY + timedelta(hours=2), until=DAY + timedelta(hours=31), by=("kind",)
    )
    assert [(row.kind, row.jobs, row.settled_usd) for row in later] == [("lora", 2, 1.0)]
