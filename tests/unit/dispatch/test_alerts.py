"""The watch over a real recorder and database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from tests.fixtures.api import FIRST, ApiPlatform, eventually, now
from thornback.dispatch.alerts import AlertWatch
from thornback.errors import StoreUnavailable
from thornback.jobs.alerts import Failure
from thornback.jobs.events import EventFactory, EventKind
from thornback.jobs.status import FailureReason
from thornback.settings import AlertRule
from thornback.store.failures import read_failures

TWICE = AlertRule(name="twice", failures=2)


async def fail(api: ApiPlatform, name: str, *, at: datetime | None = None) -> str:
    job = await api.create(name)
    event = EventFactory(job.id).failed(FIRST, reason=FailureReason.EXCEPTION, message="boom", at=at or now())
    await api.record(event)
    return job.id


def alerts(api: ApiPlatform) -> list[Any]:
    return [event for event in api.reader.events(0) if event.kind is EventKind.ALERT]


def watch(api: ApiPlatform, *rules: AlertRule) -> AlertWatch:
    def failures(since: datetime) -> Sequence[Failure]:
        return read_failures(api.reader.engine, since=since)

    return AlertWatch(recorder=api.recorder, failures=failures, rules=rules, now=now)


@asynccontextmanager
async def running(alarm: AlertWatch) -> AsyncIterator[None]:
    task = asyncio.create_task(alarm.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_second_failure_is_told_once_by_whoever_looks(api: ApiPlatform) -> None:
    first, second = await fail(api, "one"), await fail(api, "two")
    an_hour_ago = now() - timedelta(hours=1)
    told = await watch(api, TWICE).look(an_hour_ago)
    again = await watch(api, TWICE).look(an_hour_ago)
    assert [(alert.job_id, alert.job_ids) for alert in told] == [(second, (first, second))]
    assert again == []
    [event] = alerts(api)
    assert event.data == {
        "rule": "twice",
        "message": "2 jobs failed within 60 min: one, two",
        "job_ids": [first, second],
    }
    assert api.reader.job(second).state.error_message == "boom"


async def test_a_failure_is_noticed_as_it_happens(api: ApiPlatform) -> None:
    async with running(watch(api, AlertRule(name="all"))):
        await fail(api, "one")
        await eventually(lambda: len(alerts(api)) == 1)
        await fail(api, "two", at=now() - timedelta(days=3))  # as an import tells it
        await eventually(lambda: len(alerts(api)) == 2)


async def test_what_failed_while_nobody_looked_is_made_up_for(api: ApiPlatform) -> None:
    await fail(api, "last night", at=now() - timedelta(hours=9))
    async with running(watch(api, AlertRule(name="all"))):
        await eventually(lambda: len(alerts(api)) == 1)


async def test_a_database_that_is_away_ends_nothing(api: ApiPlatform) -> None:
    asked = 0

    def failures(since: datetime) -> Sequence[Failure]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("away")
        return read_failures(api.reader.engine, since=since)

    await fail(api, "one")
    alarm = AlertWatch(recorder=api.recorder, failures=failures, rules=[AlertRule(name="all")], now=now, retry_s=0.01)
    async with running(alarm):
        await eventually(lambda: len(alerts(api)) == 1)
