"""The metrics actor's process is killed in the middle of everything, several times."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import ray

from tests.fixtures.ray import RayNode
from thornback.errors import Unavailable
from thornback.jobs.events import Attempt, EventFactory, EventKind, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.port import NewJob, Recorder, StreamEvent
from thornback.metrics.reporter import open_reporter
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

KILLS = 4
SPEC = parse_spec({"job_name": "radio"}).model_dump(mode="json")
FIRST = Attempt(1)


@dataclass(frozen=True)
class Platform:
    settings: Settings
    recorder: Recorder
    reader: StoreReader

    async def pid(self) -> int:
        return int((await self.recorder.health()).details["pid"])

    async def kill(self) -> None:
        """kill -9, and wait until another process answers."""
        pid = await self.pid()
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while await self.pid() == pid:
                pass

    async def job(self) -> str:
        new = NewJob(job_id=str(uuid.uuid4()), spec=SPEC, user="ada", at=datetime.now(UTC))
        assert (await self.recorder.create(new)).is_new
        return new.job_id


@pytest.fixture
def platform(ray_node: RayNode, tmp_path: Path) -> Iterator[Platform]:
    # a small ring, so that subscribers have to catch up as well
    settings = ray_node.settings(tmp_path, buffer_events=300, commit_rows=200)
    upgrade(settings.database_url)
    handle = start_metrics_actor(settings)
    engine = open_engine(settings.database_url)
    yield Platform(settings, connect(settings), StoreReader(engine))
    ray.kill(handle, no_restart=True)
    engine.dispose()


class Subscriber:
    """Follows all events by the rules: poll, and read the database where told to."""

    def __init__(self, platform: Platform, cursor: int) -> None:
        self._platform = platform
        self.cursor = cursor
        self.seen: list[StreamEvent] = []
        self.catch_ups = 0
        self.stop = False

    async def run(self) -> None:
        while not self.stop:
            page = await self._platform.recorder.poll(self.cursor, timeout_s=0.2, limit=150)
            if page.catch_up:
                self.catch_ups += 1
                await asyncio.to_thread(self._read_up_to, page.cursor)
            else:
                self.seen += page.events
                self.cursor = page.cursor

    def _read_up_to(self, until: int) -> None:
        while events := self._platform.reader.events(self.cursor, until=until, limit=500):
            self.seen += events
            self.cursor = events[-1].id
        self.cursor = until


def row(job_id: str, phase: str, batch: int) -> JobEvent:
    return EventFactory(job_id).metrics(
        epoch=0, batch=batch, phase=phase, values={"train_loss": 1.0 / (batch + 1)}, at=datetime.now(UTC)
    )


async def test_killing_the_actor_loses_and_doubles_nothing(platform: Platform) -> None:
    job_id = await platform.job()
    start = (await platform.recorder.poll(-1, timeout_s=10.0)).cursor
    subscribers = [Subscriber(platform, start) for _ in range(3)]
    following = [asyncio.create_task(subscriber.run()) for subscriber in subscribers]
    killing = asyncio.create_task(kill_often(platform))

    reporter = await asyncio.to_thread(
        open_reporter, job_id, attempt=FIRST, rank=0, namespace=platform.settings.namespace
    )
    acknowledged = asyncio.create_task(record_until(platform, job_id, killing))
    reported = 0
    while not killing.done():
        reporter.metrics(epoch=0, phase="train", batch=reported, values={"train_loss": 0.5})
        reporter.log(f"step {reported}")
        reported += 1
        await asyncio.sleep(0.001)
    await killing
    direct = await acknowledged
    reporter.succeeded({"rows": reported})
    assert await asyncio.to_thread(reporter.close, 30.0)

    rows = platform.reader.metrics(job_id, level="step", limit=1_000_000)
    assert sorted(row.batch or 0 for row in rows if row.phase == "train") == list(range(reported))
    assert sorted(row.batch or 0 for row in rows if row.phase == "val") == list(range(direct))
    lines = [line for chunk in platform.reader.logs(job_id, limit=1_000_000) for line in chunk.lines]
    assert lines == [f"step {n}" for n in range(reported)]
    assert platform.reader.job(job_id).state.final is not None

    everything = platform.reader.events(start, limit=1_000_000)
    async with asyncio.timeout(30):
        while any(subscriber.cursor < everything[-1].id for subscriber in subscribers):
            await asyncio.wait(following, timeout=0.05)
    for subscriber, task in zip(subscribers, following, strict=True):
        subscriber.stop = True
        await task
        assert [event.id for event in subscriber.seen] == [event.id for event in everything]
        assert [event.data for event in subscriber.seen] == [event.data for event in everything]
        assert subscriber.catch_ups > 0  # the kills made them, so the test saw what it is about


async def kill_often(platform: Platform) -> None:
    for _ in range(KILLS):
        start = (await platform.recorder.poll(-1, timeout_s=10.0)).cursor
        cursor = start
        while cursor < start + 100:  # let the stream run for a while
            cursor = (await platform.recorder.poll(cursor, timeout_s=5.0)).cursor
        await platform.kill()


async def record_until(platform: Platform, job_id: str, done: asyncio.Task[None]) -> int:
    """Record rows one call after the other; every call has to be acknowledged."""
    count = 0
    while not done.done():
        await platform.recorder.record([row(job_id, "val", count)])
        count += 1
    return count


async def test_a_create_that_is_run_again_makes_one_job_and_gives_the_first_answer(platform: Platform) -> None:
    jobs = [NewJob(job_id=str(uuid.uuid4()), spec=SPEC, user="ada", at=datetime.now(UTC)) for _ in range(60)]
    pid = await platform.pid()
    calls = [asyncio.create_task(platform.recorder.create(new)) for new in jobs[:30]]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    os.kill(pid, signal.SIGKILL)
    calls += [asyncio.create_task(platform.recorder.create(new)) for new in jobs[30:]]
    answers = await asyncio.gather(*calls)
    assert await platform.pid() != pid
    assert [answer.job.id for answer in answers] == [new.job_id for new in jobs]
    assert all(answer.is_new for answer in answers)
    created = [event.job_id for event in platform.reader.events(0, limit=10_000) if event.kind is EventKind.CREATED]
    assert sorted(created) == sorted(new.job_id for new in jobs)


async def test_an_actor_that_is_gone_for_good_is_reported_as_away(ray_node: RayNode, tmp_path: Path) -> None:
    settings = ray_node.settings(tmp_path)
    with pytest.raises(Unavailable, match="thornback up"):
        connect(settings)
    upgrade(settings.database_url)
    handle = start_metrics_actor(settings)
    recorder = connect(settings)
    await recorder.health()
    ray.kill(handle, no_restart=True)
    with pytest.raises(Unavailable):
        await recorder.health()
    # another one may take its name, and the recorder finds it
    again = start_metrics_actor(settings)
    assert (await recorder.health()).database == "ok"
    ray.kill(again, no_restart=True)


async def test_starting_twice_finds_the_same_actor(platform: Platform) -> None:
    pid = await platform.pid()
    start_metrics_actor(platform.settings)
    assert await platform.pid() == pid


async def test_health_and_writes_go_on_while_hundreds_poll(platform: Platform) -> None:
    job_id = await platform.job()
    cursor = (await platform.recorder.poll(-1, timeout_s=10.0)).cursor
    polls = [asyncio.create_task(platform.recorder.poll(cursor, timeout_s=30.0)) for _ in range(500)]
    async with asyncio.timeout(30):
        while (await platform.recorder.health()).subscribers < 500:
            pass
        await platform.recorder.record([row(job_id, "train", 0)])
        pages = await asyncio.gather(*polls)
    assert {len(page.events) for page in pages} == {1}
