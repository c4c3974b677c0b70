"""Every kind of Recorder over each database, and short ways to fill it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fixtures.postgres import PostgresServer
from thornback.errors import Unavailable
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.local import LocalRecorder
from thornback.metrics.names import end_recorders
from thornback.metrics.port import NewJob, Recorder, StreamEvent
from thornback.metrics.sharded import ShardedRecorder
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPEC = parse_spec({"job_name": "radio", "config": {"epochs": 10}}).model_dump(mode="json")
SHARDS = 3
FIRST = Attempt(1)
SECOND = Attempt(2)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home: Path = tmp_path_factory.mktemp("recorder")
    with ExitStack() as stack:
        url = ""
        if request.param == "postgres":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            url = stack.enter_context(server.database())
        settings = Settings(home=home, database_url=url, namespace=f"recorder-{uuid.uuid4().hex[:8]}")
        upgrade(settings.database_url)
        yield settings


async def _is_up(recorder: Recorder) -> None:
    """Several processes take their time to start on a busy machine."""
    async with asyncio.timeout(240):
        while True:
            with contextlib.suppress(Unavailable):
                if (await recorder.health()).database == "ok":
                    return
            await asyncio.sleep(0.2)


class InOneProcess(ShardedRecorder):
    """Its parts in this process."""

    def __init__(self, settings: Settings) -> None:
        self._own = [LocalRecorder.open(settings, number) for number in range(SHARDS)]
        super().__init__(self._own, StoreReader(open_engine(settings.database_url)))
        for recorder in self._own:
            recorder.begin()

    async def close(self) -> None:
        for recorder in self._own:
            await recorder.close()
        self.dispose()


_OF_A_FILE = ["local", "actor"]
_SHARDED = ["local, sharded", pytest.param("actor, sharded", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=[*_OF_A_FILE, *_SHARDED])
def recorder(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Recorder]:
    if request.param.endswith("sharded"):
        if settings.database_url.startswith("sqlite"):
            pytest.skip("a SQLite file has one writer")
        settings = settings.model_copy(update={"metrics_shards": SHARDS, "namespace": f"{settings.namespace}-sharded"})
    if request.param == "local, sharded":
        sharded = InOneProcess(settings)
        yield sharded
        asyncio.run(sharded.close())
        return
    if request.param == "local":
        local = LocalRecorder.open(settings)
        local.begin()
        yield local
        asyncio.run(local.close())
        return
    request.getfixturevalue("ray_node")
    start_metrics_actor(settings)
    connected = connect(settings)
    asyncio.run(_is_up(connected))
    yield connected
    if isinstance(connected, ShardedRecorder):
        connected.dispose()
    end_recorders(settings.namespace)


@pytest.fixture
def reader(settings: Settings) -> Iterator[StoreReader]:
    engine = open_engine(settings.database_url)
    yield StoreReader(engine)
    engine.dispose()


def new_job(**changes: object) -> NewJob:
    return replace(NewJob(job_id=str(uuid.uuid4()), spec=SPEC, user="ada", at=NOW), **changes)  # type: ignore[arg-type]


async def created(recorder: Recorder) -> str:
    new = new_job()
    assert (await recorder.create(new)).is_new
    return new.job_id


def rows(job_id: str, count: int, *, first: int = 0) -> list[JobEvent]:
    factory = EventFactory(job_id)
    return [
        factory.metrics(epoch=0, batch=n, phase="train", values={"train_loss": 1.0 / (n + 1)}, at=NOW)
        for n in range(first, first + count)
    ]


async def follow(recorder: Recorder, cursor: int, count: int, *, job_id: str) -> list[StreamEvent]:
    """The next `count` events of a job, by polling as a subscriber does."""
    seen: list[StreamEvent] = []
    async with asyncio.timeout(20):
        while len(seen) < count:
            page = await recorder.poll(cursor, timeout_s=5.0)
            assert not page.catch_up
            seen += [event for event in page.events if event.job_id == job_id]
            cursor = page.cursor
    return seen


async def now(recorder: Recorder) -> int:
    page = await recorder.poll(-1, timeout_s=10.0)
    assert page.events == ()
    return page.cursor
