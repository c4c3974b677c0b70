"""The recorder in this process: what the metrics actor carries, and what tests use without Ray."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from sqlalchemy import Engine

from thornback.access.audit import SYSTEM
from thornback.access.changes import Change
from thornback.jobs.events import JobEvent
from thornback.jobs.queue import PauseQueue, QueueChange, ResumeQueue
from thornback.jobs.shards import Shard
from thornback.jobs.state import JobState
from thornback.jobs.versions import NewVersion, VersionPlan
from thornback.jobs.webhook_changes import WebhookChange
from thornback.metrics.calls import OperationCall, ReceiveCall, RecordCall
from thornback.metrics.committer import Committer
from thornback.metrics.feed import Feed
from thornback.metrics.port import (
    Ack,
    Created,
    Curve,
    Delivery,
    NewJob,
    Page,
    Point,
    QueuePlace,
    Receipt,
    Recorder,
    RecorderHealth,
    Speaker,
    StreamEvent,
)
from thornback.metrics.probe import DatabaseProbe
from thornback.metrics.standing import Standing
from thornback.metrics.waiters import Waiters
from thornback.settings import Settings
from thornback.spend.quotas import GoOn, QuotaChange
from thornback.store.admit import admit
from thornback.store.engine import engine_of
from thornback.store.metric_rows import Level
from thornback.store.money import Money
from thornback.store.read import StoreReader
from thornback.store.write import Arrival, Committed, StoreWriter

T = TypeVar("T")

# How long a health check waits for the database before it says that there is no answer.
PING_S = 1.0

# How long `close` lets the last commits run.
CLOSE_S = 10.0


class LocalRecorder(Recorder):
    """One committer thread, one feed. Its methods may be called from any event loop, and from several."""

    def __init__(
        self, writer: StoreWriter, reader: StoreReader, *, commit_rows: int = 2000, buffer_events: int = 20_000
    ) -> None:
        """`writer` and `reader` stand on the same database; nobody else may write to it."""
        self._engines: tuple[Engine, ...] = ()  # that are ours to close
        self._writer = writer
        self._reader = reader
        self._feed = Feed(buffer_events)
        self._feed_lock = threading.Lock()
        self._waiters = Waiters()
        self._probe = DatabaseProbe(reader.ping)
        self._committer = Committer(
            writer,
            Standing(_ReaderSource(reader)),
            commit_rows=commit_rows,
            restart=self._restart_feed,
            publish=self._publish,
            storable=admit,
        )

    @classmethod
    def open(cls, settings: Settings, shard: int = 0) -> Self:
        """A recorder on the database of the settings, which of several; it is not touched before `start`.

        Raises SettingsError where that database cannot have several.
        """
        settings.check_shards()
        engines = engine_of(settings, writer=True), engine_of(settings)
        recorder = cls(
            StoreWriter(
                engines[0],
                keep_deliveries=timedelta(days=settings.webhook_keep_days),
                money=Money.of(settings),
                shard=Shard(shard, settings.metrics_shards),
            ),
            StoreReader(engines[1]),
            commit_rows=settings.commit_rows,
            buffer_events=settings.buffer_events,
        )
        recorder._engines = engines
        return recorder

    async def start(self) -> None:
        """Begin. Does not wait for the database: until it answers, calls raise StoreUnavailable."""
        self.begin()

    def begin(self) -> None:
        """`start` for callers without an event loop."""
        self._committer.start()

    async def close(self) -> None:
        """Commit what waits, then end. Later calls raise StoreUnavailable."""
        await asyncio.to_thread(self._committer.close, CLOSE_S)
        for engine in self._engines:
            engine.dispose()

    async def record(self, events: Sequence[JobEvent], *, speaker: Speaker | None = None) -> Ack:
        """See Recorder."""
        call = RecordCall(events=events, speaker=speaker)
        return await asyncio.wrap_future(self._committer.record(call))

    async def create(self, new: NewJob) -> Created:
        """See Recorder."""

        def run() -> tuple[Created, Committed]:
            created, committed = self._writer.create(new)
            # A create that is run again after its answer was lost finds its own job: to the caller it is new.
            return replace(created, is_new=created.job.id == new.job_id), committed

        call = OperationCall(run=run, job_ids=(new.job_id,))
        created: Created = await asyncio.wrap_future(self._committer.operate(call))
        return created

    async def receive(self, delivery: Delivery, events: Sequence[JobEvent], *, new: NewJob | None = None) -> Receipt:
        """See Recorder."""
        call = ReceiveCall(arrival=Arrival(delivery=delivery, events=events, new=new))
        return await asyncio.wrap_future(self._committer.receive(call))

    async def administer(self, change: Change | QueueChange | WebhookChange | QuotaChange, *, by: str = SYSTEM) -> bool:
        """See Recorder."""
        if isinstance(change, PauseQueue | ResumeQueue):
            call = OperationCall(run=lambda: self._writer.hold_queue(change))
            done: bool = await asyncio.wrap_future(self._committer.operate(call))
            return done
        if isinstance(change, GoOn):
            more = OperationCall(run=lambda: self._writer.go_on(change), job_ids=(change.job_id,))
            needed: bool = await asyncio.wrap_future(self._committer.operate(more))
            return needed
        return await self._operate(lambda: self._writer.administer(change, by=by))

    async def discard(self, delivery_id: int) -> None:
        """See Recorder."""
        await self._operate(lambda: self._writer.discard(delivery_id))

    async def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """See Recorder."""
        await self._operate(lambda: self._writer.set_queue(places))

    async def delete(self, job_id: str) -> None:
        """See Recorder."""

        def run() -> tuple[None, Committed]:
            return None, self._writer.delete(job_id)

        await asyncio.wrap_future(self._committer.operate(OperationCall(run=run, job_ids=(job_id,), forget=True)))

    async def job(self, job_id: str) -> JobState:
        """See Recorder."""
        row = await asyncio.to_thread(self._reader.job, job_id)
        return row.state

    async def curve(self, job_id: str, metric: str, *, steps: bool = False, after: int = 0) -> Curve:
        """See Recorder."""
        level: Level = "step" if steps else "epoch"
        rows = await asyncio.to_thread(self._reader.metrics, job_id, level=level, after_id=after)
        told = [((row.batch if steps else row.epoch) or 0, row.values.get(metric)) for row in rows]
        return Curve(
            points=tuple(Point(at=at, value=value) for at, value in told if value is not None),
            cursor=rows[-1].id if rows else after,
        )

    async def plan_version(self, *, user: str, model: str, job_id: str) -> VersionPlan:
        """See Recorder."""
        return await self._operate(lambda: self._writer.plan_version(user=user, model=model, job_id=job_id))

    async def register_version(self, new: NewVersion) -> VersionPlan:
        """See Recorder."""
        return await self._operate(lambda: self._writer.register_version(new))

    async def set_alias(self, *, user: str, model: str, alias: str, version: int | None, by: str, at: datetime) -> None:
        """See Recorder."""
        await self._operate(
            lambda: self._writer.set_alias(user=user, model=model, alias=alias, version=version, by=by, at=at)
        )

    async def note_version(self, *, user: str, model: str, version: int, notes: str) -> None:
        """See Recorder."""
        await self._operate(lambda: self._writer.note_version(user=user, model=model, version=version, notes=notes))

    async def delete_version(self, *, user: str, model: str, version: int, by: str | None = None) -> None:
        """See Recorder."""
        await self._operate(lambda: self._writer.delete_version(user=user, model=model, version=version, by=by))

    async def poll(self, cursor: int, *, timeout_s: float, limit: int = 1000) -> Page:
        """See Recorder."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            # Registered before the look, so that nothing published in between is missed.
            waiter = self._waiters.add()
            try:
                with self._feed_lock:
                    page = self._feed.read(cursor, limit)
                if page is not None:
                    return page
                left = deadline - loop.time()
                if left <= 0:
                    return Page(events=(), cursor=cursor)
                await asyncio.wait((waiter,), timeout=left)
            finally:
                self._waiters.discard(waiter)

    async def health(self) -> RecorderHealth:
        """See Recorder. Answers within about a second whatever the database does."""
        database = await asyncio.to_thread(self._probe.look, PING_S)
        committer = self._committer
        details: dict[str, Any] = {
            "buffered": len(self._feed),
            "committing_s": round(committer.busy_s, 3),
            "pid": os.getpid(),
        }
        return RecorderHealth(
            database=committer.problem or database,
            cursor=self._feed.cursor,
            waiting=committer.waiting,
            commits=committer.commits,
            events=committer.events,
            last_commit_ms=committer.last_commit_ms,
            subscribers=len(self._waiters),
            details=details,
        )

    async def _operate(self, work: Callable[[], T]) -> T:
        """Work of the writer that brings no events."""
        call = OperationCall(run=lambda: (work(), None))
        answer: T = await asyncio.wrap_future(self._committer.operate(call))
        return answer

    def _restart_feed(self, cursor: int) -> None:
        with self._feed_lock:
            self._feed.restart(cursor)
        self._waiters.wake()

    def _publish(self, events: Sequence[StreamEvent]) -> None:
        with self._feed_lock:
            self._feed.publish(events)
        self._waiters.wake()


class _ReaderSource:
    """The committed state of one job, for Standing."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader

    def state(self, job_id: str) -> JobState:
        return self._reader.job(job_id).state
