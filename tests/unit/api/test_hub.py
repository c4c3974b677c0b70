"""The fan-out of one replica: bounded, never silent about a gap, alive through outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from serve_apps.api import hub as hub_module
from serve_apps.api.context import Reads
from serve_apps.api.hub import QUEUE_EVENTS, Hub, HubClosed, Subscription, TooManyStreams
from tests.fixtures.api import ApiPlatform, Reports, eventually
from thornback.errors import Unavailable
from thornback.jobs.state import JobState
from thornback.metrics.port import Page, StreamEvent


@pytest.fixture
async def hub(api: ApiPlatform) -> AsyncIterator[Hub]:
    hub = Hub(api.recorder, Reads(api.reader), max_streams=3)
    hub.start()
    yield hub
    await hub.stop()


@pytest.fixture
async def job(api: ApiPlatform) -> JobState:
    return await api.create()


async def collect(stream: Subscription, count: int) -> list[StreamEvent]:
    """At least so many events."""
    events: list[StreamEvent] = []
    async with asyncio.timeout(10):
        while len(events) < count:
            events += await stream.next(1.0)
    return events


async def test_live_events_carry_the_state(api: ApiPlatform, hub: Hub, job: JobState) -> None:
    with await hub.join(job_id=job.id, after=None) as stream:
        await stream.next(0)  # nothing was missed: from here on it is live
        await api.record(Reports(job.id).started())
        (event,) = await collect(stream, 1)
    assert (event.kind, event.id, stream.position) == ("started", 2, 2)
    assert event.job is not None
    assert event.job.status == "running"
    assert not stream.is_replayed


async def test_a_client_gets_only_its_jobs_events(api: ApiPlatform, hub: Hub, job: JobState) -> None:
    other = await api.create()
    with await hub.join(job_id=job.id, after=None) as mine, await hub.join(job_id=None, after=None) as everything:
        await api.record(Reports(other.id).started(), Reports(job.id).started())
        assert [event.job_id for event in await collect(everything, 2)] == [other.id, job.id]
        assert [event.job_id for event in await collect(mine, 1)] == [job.id]
        assert await mine.next(0.01) == []


async def test_a_slow_client_holds_a_bounded_queue_and_catches_up(api: ApiPlatform, hub: Hub, job: JobState) -> None:
    reports = Reports(job.id)
    with await hub.join(job_id=job.id, after=None) as slow:
        assert await slow.next(0) == []
        for epoch in range(1, 4):
            await api.record(*(reports.step(epoch, batch, train_loss=1.0) for batch in range(QUEUE_EVENTS // 2)))
        await eventually(lambda: hub.position == 1 + 3 * (QUEUE_EVENTS // 2))
        assert len(slow._queue) <= QUEUE_EVENTS
        assert not slow.is_live
        events = await collect(slow, 3 * (QUEUE_EVENTS // 2))
        assert [event.id for event in events] == list(range(2, 2 + len(events)))
        await api.record(reports.epoch(9))
        assert (await collect(slow, 1))[0].data["epoch"] == 9
        assert not slow.is_replayed


async def test_what_left_the_recorders_memory_is_read_once_for_everybody(
    api: ApiPlatform, job: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful:
        """A recorder whose memory is gone at the first poll, as after a restart."""

        def __init__(self) -> None:
            self.polls = 0
            self.feeds = (self,)

        async def poll(self, cursor: int, *, timeout_s: float, limit: int = 1000) -> Page:
            self.polls += 1
            if self.polls == 1:
                await api.record(*(Reports(job.id).epoch(number) for number in range(1, 31)))
                return Page(events=(), cursor=31, catch_up=True)
            return await api.recorder.poll(cursor, timeout_s=timeout_s, limit=limit)

    monkeypatch.setattr(hub_module, "REPLAY_EVENTS", 7)
    recorder = Forgetful()
    hub = Hub(recorder, Reads(api.reader), max_streams=3)  # type: ignore[arg-type]
    hub.start()
    with await hub.join(job_id=job.id, after=None) as one, await hub.join(job_id=None, after=None) as all_jobs:
        for stream in (one, all_jobs):
            assert [event.id for event in await collect(stream, 30)] == list(range(2, 32))
    await hub.stop()


async def test_it_outlives_an_outage_of_the_recorder(api: ApiPlatform, job: JobState) -> None:
    class Flaky:
        """A recorder that is away for a while, once with an error that nobody foresaw."""

        def __init__(self) -> None:
            self.errors: list[Exception] = [Unavailable("away"), Unavailable("away"), ZeroDivisionError()]
            self.feeds = (self,)

        async def poll(self, cursor: int, *, timeout_s: float, limit: int = 1000) -> Page:
            if self.errors:
                raise self.errors.pop()
            return await api.recorder.poll(cursor, timeout_s=timeout_s, limit=limit)

    recorder = Flaky()
    hub = Hub(recorder, Reads(api.reader), max_streams=3)  # type: ignore[arg-type]
    hub.start()
    with await hub.join(job_id=job.id, after=None) as stream:
        await api.record(Reports(job.id).started())
        assert [event.id for event in await collect(stream, 1)] == [2]
    assert not recorder.errors
    await hub.stop()


async def test_no_place_in_the_stream_is_a_clear_refusal(api: ApiPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "READY_S", 0.05)
    reader = type("Gone", (), {"latest_event_id": lambda self: (_ for _ in ()).throw(Unavailable("away"))})()
    hub = Hub(api.recorder, Reads(reader), max_streams=3)
    hub.start()
    with pytest.raises(Unavailable):
        await hub.join(job_id=None, after=None)
    assert hub.client_count == 0
    await hub.stop()


async def test_the_cap_counts_clients_and_not_our_own_waits(hub: Hub, job: JobState) -> None:
    streams = [await hub.join(job_id=job.id, after=None) for _ in range(3)]
    with pytest.raises(TooManyStreams):
        await hub.join(job_id=None, after=None)
    with await hub.join(job_id=job.id, after=None, counted=False):
        assert hub.client_count == 3
    hub.leave(streams[0])
    hub.leave(streams[0])  # a second time changes nothing
    with await hub.join(job_id=None, after=None):
        assert hub.client_count == 3


async def test_it_rests_while_nobody_listens(api: ApiPlatform, hub: Hub, job: JobState) -> None:
    with await hub.join(job_id=job.id, after=None) as stream:
        await api.record(Reports(job.id).started())
        await collect(stream, 1)
    assert hub.client_count == 0
    await api.record(Reports(job.id).epoch(1))
    with await hub.join(job_id=job.id, after=None) as stream:
        await api.record(Reports(job.id).epoch(2))
        # What was committed just before the place was taken may still come by; what comes after it must.
        async with asyncio.timeout(10):
            while all(event.data.get("epoch") != 2 for event in await stream.next(5)):
                pass


async def test_closing_wakes_everybody(hub: Hub, job: JobState) -> None:
    with await hub.join(job_id=job.id, after=None) as stream:
        await stream.next(0)
        waiting = asyncio.create_task(stream.next(60))
        await asyncio.sleep(0)
        await asyncio.to_thread(hub.close_soon)
        with pytest.raises(HubClosed):
            await waiting
    with pytest.raises(HubClosed):
        await hub.join(job_id=job.id, after=None)
