"""A recorder over a real SQLite store, whose writer can be made to fail, hang and lie."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import NewJob
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader
from thornback.store.write import Arrival, Committed, StoreWriter

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPEC = parse_spec({"job_name": "radio"}).model_dump(mode="json")
FIRST, SECOND = Attempt(1), Attempt(2)
COMMIT_ROWS = 100


class TroubledWriter(StoreWriter):
    """The real writer; a test says what goes wrong before and after its commits."""

    before: Callable[[Sequence[JobEvent]], None] | None = None
    after: Callable[[Sequence[JobEvent]], None] | None = None

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url, writer=True)
        super().__init__(self.engine)
        self.batches: list[list[JobEvent]] = []

    def commit(self, events: Sequence[JobEvent], arrivals: Sequence[Arrival] = ()) -> Committed:
        self.batches.append([*events, *(event for arrival in arrivals for event in arrival.events)])
        if self.before is not None:
            self.before(self.batches[-1])
        committed = super().commit(events, arrivals)
        if self.after is not None:
            self.after(events)
        return committed


class TroubledReader(StoreReader):
    """The real reader, whose ping can hang."""

    hang: threading.Event | None = None

    def ping(self) -> None:
        if self.hang is not None:
            assert self.hang.wait(20)
        super().ping()


class Hold:
    """Holds a thread until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, events: Sequence[JobEvent]) -> None:
        self.entered.set()
        assert self._open.wait(20)

    def release(self) -> None:
        self._open.set()

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 10)


class Bench:
    """A recorder, its troubled writer and a reader of the same database."""

    def __init__(self, folder: Path, *, buffer_events: int = 1000) -> None:
        self.url = f"sqlite:///{folder}/t.db"
        upgrade(self.url)
        self.writer = TroubledWriter(self.url)
        self._engine = open_engine(self.url)
        self.reader = TroubledReader(self._engine)
        self.recorder = LocalRecorder(self.writer, self.reader, commit_rows=COMMIT_ROWS, buffer_events=buffer_events)

    async def close(self) -> None:
        await self.recorder.close()
        self._engine.dispose()
        self.writer.engine.dispose()

    async def job(self) -> str:
        new = NewJob(job_id=str(uuid.uuid4()), spec=SPEC, user="ada", at=NOW)
        await self.recorder.create(new)
        return new.job_id

    def batches(self, job_id: str) -> list[int | None]:
        return [row.batch for row in self.reader.metrics(job_id, level="step", limit=100_000)]

    async def hold(self) -> tuple[Hold, asyncio.Task[object]]:
        """Let the writer hang in a commit of its own."""
        hold = Hold()
        self.writer.before = hold
        job_id = str(uuid.uuid4())
        held = asyncio.create_task(_as_object(self.recorder.record(rows(job_id, 1))))
        await hold.reached()
        self.writer.before = None
        return hold, held


async def _as_object(awaitable: object) -> object:
    return await awaitable  # type: ignore[misc]


def rows(job_id: str, count: int, *, first: int = 0) -> list[JobEvent]:
    factory = EventFactory(job_id)
    return [
        factory.metrics(epoch=0, batch=n, phase="train", values={"train_loss": 1.0}, at=NOW)
        for n in range(first, first + count)
    ]


async def settled(tasks: Sequence[asyncio.Task[object]]) -> None:
    """Let tasks run until each stands at its first wait."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


def start(*calls: object) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(_as_object(call)) for call in calls]
