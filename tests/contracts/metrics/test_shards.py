"""Three recorders behind one: whose a job is, and streams that miss nothing while all of them write."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from serve_apps.api.context import Reads
from serve_apps.api.hub import Hub, Subscription
from tests.contracts.metrics.conftest import NOW, SHARDS, InOneProcess, created, rows
from thornback.errors import SettingsError
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.shards import shard_of
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import Speaker, StreamEvent
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.read import StoreReader


@pytest.fixture
def sharded(postgres_url: str) -> Iterator[InOneProcess]:
    recorder = InOneProcess(Settings(database_url=postgres_url, metrics_shards=SHARDS))
    yield recorder
    asyncio.run(recorder.close())


@pytest.fixture
async def hub(sharded: InOneProcess, postgres_url: str) -> AsyncIterator[Hub]:
    engine = open_engine(postgres_url)
    hub = Hub(sharded, Reads(StoreReader(engine)), max_streams=100)
    hub.start()
    yield hub
    await hub.stop()
    engine.dispose()


async def read(stream: Subscription, until: int) -> list[StreamEvent]:
    """So many events."""
    events: list[StreamEvent] = []
    async with asyncio.timeout(60):
        while len(events) < until:
            events += await stream.next(1.0)
    return events


async def test_streams_miss_nothing_while_three_write(sharded: InOneProcess, hub: Hub) -> None:
    """One client for each job, one that comes late, and one that follows all jobs."""
    jobs = [await created(sharded) for _ in range(6)]
    assert len({shard_of(job_id, SHARDS) for job_id in jobs}) > 1
    batches, size = 20, 5

    async def write(job_id: str) -> None:
        for batch in range(batches):
            await sharded.record(rows(job_id, size, first=batch * size))

    with await hub.join(job_id=None, after=None) as of_all:
        streams = [await hub.join(job_id=job_id, after=0) for job_id in jobs]
        writing = asyncio.gather(*(write(job_id) for job_id in jobs))
        everything = read(of_all, len(jobs) * batches * size)
        seen = await asyncio.gather(everything, *(read(stream, 1 + batches * size) for stream in streams))
        await writing
        ids = [event.id for event in seen[0]]
        assert ids == sorted(set(ids))
        assert Counter(event.job_id for event in seen[0]) == dict.fromkeys(jobs, batches * size)
        for job_id, stream, events in zip(jobs, streams, seen[1:], strict=True):
            assert {event.job_id for event in events} == {job_id}
            assert [event.data["batch"] for event in events[1:]] == list(range(batches * size))
            # whoever comes back goes on where they stopped, also where others are behind
            with await hub.join(job_id=job_id, after=events[50].id) as again:
                assert not again.was_reset
                assert [event.id for event in await read(again, batches * size - 50)] == [e.id for e in events[51:]]
            stream.__exit__(None, None, None)
    assert hub.client_count == 0


async def test_a_call_about_several_jobs_reaches_all_of_them(sharded: InOneProcess) -> None:
    jobs = [await created(sharded) for _ in range(6)]
    cancels = [EventFactory(job_id).cancel_requested(user="ada", at=NOW) for job_id in jobs]
    ack = await sharded.record([event for job_id in jobs for event in rows(job_id, 2)])
    assert ack.committed == 12
    assert (await sharded.record(cancels)).cancel == set(jobs)
    for job_id in jobs:
        heartbeat = await sharded.record([], speaker=Speaker(job_id=job_id, attempt=Attempt(1)))
        assert heartbeat.cancel == {job_id}
        assert (await sharded.job(job_id)).cancel_requested


def test_a_file_has_one_writer() -> None:
    with pytest.raises(SettingsError, match="needs PostgreSQL") as caught:
        LocalRecorder.open(Settings(metrics_shards=2))
    assert caught.value.details["errors"][0]["field"] == "THORNBACK_METRICS_SHARDS"
