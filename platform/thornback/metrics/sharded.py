"""Several recorders as one: each has the jobs of its shard, and number 0 what belongs to none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

from thornback.access.audit import SYSTEM
from thornback.access.changes import Change
from thornback.jobs.events import JobEvent
from thornback.jobs.queue import QueueChange
from thornback.jobs.shards import shard_of
from thornback.jobs.state import JobState
from thornback.jobs.versions import NewVersion, VersionPlan
from thornback.jobs.webhook_changes import WebhookChange
from thornback.metrics.port import (
    Ack,
    Created,
    Curve,
    Delivery,
    NewJob,
    Page,
    QueuePlace,
    Receipt,
    Recorder,
    RecorderHealth,
    Speaker,
    StreamEvent,
)
from thornback.spend.quotas import QuotaChange

T = TypeVar("T")

# While a transaction that has numbered its events is still going on, those after them are waited with.
_SETTLE_S = 0.005

# A shard's poll that nobody waits for any more ends by itself after so long.
_NUDGE_S = 1.0


class EventLog(Protocol):
    """The part of the store that gives the events of all jobs in their order. Its methods block."""

    def latest_event_id(self) -> int:
        """The id up to which all events can be read."""
        ...

    def events(
        self, after: int, *, job_id: str | None = None, until: int | None = None, limit: int = 1000
    ) -> list[StreamEvent]:
        """Events after an id."""
        ...

    def states(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """Those of the jobs that exist."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...


class ShardedRecorder(Recorder):
    """Sends each call to whom it belongs. Any number of processes may have one."""

    def __init__(self, shards: Sequence[Recorder], log: EventLog) -> None:
        """`shards` by their numbers; `log`: of the database that they write to."""
        self._shards, self._log = shards, log

    def dispose(self) -> None:
        """Close the connections to the database; it can still be used afterwards."""
        self._log.close()

    @property
    def feeds(self) -> Sequence[Recorder]:
        """See Recorder."""
        return self._shards

    async def record(self, events: Sequence[JobEvent], *, speaker: Speaker | None = None) -> Ack:
        """See Recorder. Where one shard cannot commit its part, that error is raised and the others' parts stay."""
        parts: dict[int, list[JobEvent]] = {}
        if speaker is not None or not events:
            parts[0 if speaker is None else self._number(speaker.job_id)] = []
        for event in events:
            parts.setdefault(self._number(event.job_id), []).append(event)
        own = None if speaker is None else self._number(speaker.job_id)
        acks = await _all(
            self._shards[number].record(part, speaker=speaker if number == own else None)
            for number, part in parts.items()
        )
        return acks[0] if len(acks) == 1 else _merged(acks)

    async def create(self, new: NewJob) -> Created:
        """See Recorder."""
        return await self._of(new.job_id).create(new)

    async def receive(self, delivery: Delivery, events: Sequence[JobEvent], *, new: NewJob | None = None) -> Receipt:
        """See Recorder."""
        about = next((event.job_id for event in events), new.job_id if new else delivery.job_id)
        return await self._of(about).receive(delivery, events, new=new)

    async def administer(self, change: Change | QueueChange | WebhookChange | QuotaChange, *, by: str = SYSTEM) -> bool:
        """See Recorder."""
        about: str | None = getattr(change, "job_id", None)
        return await self._of(about).administer(change, by=by)

    async def discard(self, delivery_id: int) -> None:
        """See Recorder."""
        await self._shards[0].discard(delivery_id)

    async def poll(self, cursor: int, *, timeout_s: float, limit: int = 1000) -> Page:
        """See Recorder. Read from the database; a job's events come sooner from its own feed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            settled = await asyncio.to_thread(self._log.latest_event_id)
            if cursor < 0:
                return Page(events=(), cursor=settled)
            if settled > cursor:
                return await asyncio.to_thread(self._page, cursor, settled, limit)
            left = deadline - loop.time()
            if left <= 0:
                return Page(events=(), cursor=cursor)
            if await self._has_more(cursor, min(left, _NUDGE_S)):
                await asyncio.sleep(_SETTLE_S)

    async def job(self, job_id: str) -> JobState:
        """See Recorder."""
        return await self._of(job_id).job(job_id)

    async def curve(self, job_id: str, metric: str, *, steps: bool = False, after: int = 0) -> Curve:
        """See Recorder."""
        return await self._of(job_id).curve(job_id, metric, steps=steps, after=after)

    async def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """See Recorder."""
        await self._shards[0].set_queue(places)

    async def delete(self, job_id: str) -> None:
        """See Recorder."""
        await self._of(job_id).delete(job_id)

    async def plan_version(self, *, user: str, model: str, job_id: str) -> VersionPlan:
        """See Recorder."""
        return await self._of(job_id).plan_version(user=user, model=model, job_id=job_id)

    async def register_version(self, new: NewVersion) -> VersionPlan:
        """See Recorder."""
        return await self._shards[0].register_version(new)

    async def set_alias(self, *, user: str, model: str, alias: str, version: int | None, by: str, at: datetime) -> None:
        """See Recorder."""
        await self._shards[0].set_alias(user=user, model=model, alias=alias, version=version, by=by, at=at)

    async def note_version(self, *, user: str, model: str, version: int, notes: str) -> None:
        """See Recorder."""
        await self._shards[0].note_version(user=user, model=model, version=version, notes=notes)

    async def delete_version(self, *, user: str, model: str, version: int, by: str | None = None) -> None:
        """See Recorder."""
        await self._shards[0].delete_version(user=user, model=model, version=version, by=by)

    async def health(self) -> RecorderHealth:
        """See Recorder: of all together; `database` is what the first of them says that is not well."""
        found = await _all(shard.health() for shard in self._shards)
        bad = next((health.database for health in found if health.database != "ok"), "ok")
        return RecorderHealth(
            database=bad,
            cursor=max(health.cursor for health in found),
            waiting=sum(health.waiting for health in found),
            commits=sum(health.commits for health in found),
            events=sum(health.events for health in found),
            last_commit_ms=max(health.last_commit_ms for health in found),
            subscribers=sum(health.subscribers for health in found),
            details={"shards": [dict(health.details) for health in found]},
        )

    def _number(self, job_id: str) -> int:
        return shard_of(job_id, len(self._shards))

    def _of(self, job_id: str | None) -> Recorder:
        return self._shards[0 if job_id is None else self._number(job_id)]

    def _page(self, cursor: int, settled: int, limit: int) -> Page:
        events = self._log.events(cursor, until=settled, limit=limit)
        states = self._log.states(list({event.job_id for event in events}))
        last = {event.job_id: event.id for event in events}
        told = tuple(
            replace(event, job=states.get(event.job_id)) if last[event.job_id] == event.id else event
            for event in events
        )
        return Page(events=told, cursor=events[-1].id if len(events) == limit else settled)

    async def _has_more(self, cursor: int, timeout_s: float) -> bool:
        """Wait until a shard has published something after the cursor."""
        tasks = [asyncio.ensure_future(feed.poll(cursor, timeout_s=timeout_s, limit=1)) for feed in self._shards]
        try:
            waiting: set[asyncio.Future[Page]] = set(tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                pages = [task.result() for task in done]  # raises where a shard is away: its events would be missed
                if any(page.cursor > cursor for page in pages):
                    return True
            return False
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _all(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The answers of all, once all have ended; the first error where there are any."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    found: list[T] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        found.append(answer)
    return found


def _merged(acks: Sequence[Ack]) -> Ack:
    return Ack(
        committed=sum(ack.committed for ack in acks),
        cursor=max(ack.cursor for ack in acks),
        cancel=frozenset().union(*(ack.cancel for ack in acks)),
        superseded=frozenset().union(*(ack.superseded for ack in acks)),
        asked={name: at for ack in acks for name, at in ack.asked.items()},
    )
