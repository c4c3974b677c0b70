"""What is committed of one job, kept up to date, and a way to wait for news of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from thornback.errors import JobNotFound, StoreUnavailable
from thornback.jobs.events import EventKind, JobEvent
from thornback.jobs.items import ItemState, reduce_items
from thornback.jobs.state import JobState
from thornback.metrics.port import StreamEvent
from thornback.remote.desk import Desk

JOB = 0  # the number of no item: for who waits for the job as such


class JobOver(Exception):
    """The job has ended or is gone; nothing more is to be done for it."""


class Bell:
    """Wakes everybody who waits."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake them."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """Until it rings, at most so long; True where it rang."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(future)
        return True


class Book:
    """One job. Whatever is recorded through it is in it, and so is what the feed tells."""

    def __init__(self, desk: Desk, job: JobState, items: Sequence[ItemState]) -> None:
        self._desk = desk
        self.job = job
        self.items = {item.item: item for item in items}
        self._bells: dict[int, Bell] = defaultdict(Bell)  # by item; 0: whoever waits for the job as such
        self.cancel_requested = job.cancel_requested
        self.heard_at: datetime | None = None  # the last webhook about any of its orders
        self._gone = False

    @classmethod
    async def open(cls, desk: Desk, job_id: str) -> Book:
        """Read from the database. Raises JobNotFound, StoreUnavailable."""
        job, items = await asyncio.to_thread(_read, desk, job_id)
        return cls(desk, job, items)

    @property
    def is_over(self) -> bool:
        """True where the job has ended or is gone."""
        return self._gone or self.job.final is not None

    def item(self, number: int) -> ItemState | None:
        """An item, None before its first order."""
        return self.items.get(number)

    def must_go_on(self) -> None:
        """Raises JobOver."""
        if self.is_over:
            raise JobOver(self.job.id)

    async def record(self, events: Sequence[JobEvent]) -> None:
        """Commit and take over. Where another was first with one of them, the database says what holds."""
        if not events:
            return
        ack = await self._desk.record(events)
        if ack.committed < len(events):
            await self.reload()
        else:
            self.items = reduce_items(self.items, (event for event in events if event.kind is EventKind.ITEM))

    def tell(self, event: StreamEvent) -> None:
        """Take over what the feed tells, and wake whoever waits for it."""
        if event.job is not None and self.job.final is None:
            self.job = event.job
        if event.kind is EventKind.ITEM:
            self._tell_item(event)
        elif event.kind in _NEWS:
            self.cancel_requested |= event.kind is EventKind.CANCEL_REQUESTED
            self._gone |= event.kind is not EventKind.CANCEL_REQUESTED
            self.ring()

    def hear(self, number: int) -> None:
        """A webhook about an item came."""
        self.heard_at = self._desk.now()
        self._bells[number].ring()

    def ring(self) -> None:
        """Wake everybody."""
        for bell in list(self._bells.values()):
            bell.ring()

    async def news(self, number: int, *, within_s: float) -> bool:
        """Wait for news of an item or of the job; False where there was none within the time."""
        return await self._bells[number].wait(within_s)

    def _tell_item(self, event: StreamEvent) -> None:
        number = event.data["item"]
        told = JobEvent(job_id=event.job_id, source="provider", key="", kind=event.kind, at=event.at, data=event.data)
        self.items = reduce_items(self.items, [told])
        if event.data.get("via") == "webhook":
            self.hear(number)
        self._bells[number].ring()
        self._bells[JOB].ring()

    async def reload(self) -> None:
        """Read it again from the database, however long that is away."""
        faults = 0
        while True:
            try:
                self.job, items = await asyncio.to_thread(_read, self._desk, self.job.id)
                break
            except JobNotFound:
                self._gone = True
                self.ring()
                return
            except StoreUnavailable:
                faults += 1
                await asyncio.sleep(self._desk.backoff(faults).total_seconds())
        self.items = {item.item: item for item in items}
        self.cancel_requested |= self.job.cancel_requested
        self.ring()


# What changes what is to be done; logs, metrics and progress do not.
_NEWS = frozenset(
    {
        EventKind.CANCEL_REQUESTED,
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.CANCELLED,
        EventKind.DELETED,
    }
)


def _read(desk: Desk, job_id: str) -> tuple[JobState, list[ItemState]]:
    return desk.reader.job(job_id).state, desk.reader.items(job_id)
