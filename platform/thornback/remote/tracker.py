"""Everything that we have at one provider: taken up at the start, kept going, and told of whatever the feed brings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, Protocol

from thornback.errors import InvalidInput, JobNotFound, OrderUnknown, ProviderRefused, ThornbackError, Unavailable
from thornback.jobs.events import Attempt, EventFactory, EventKind
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import PHASE_SCHEDULED, JobState
from thornback.jobs.status import FailureReason
from thornback.log import get_logger
from thornback.metrics.port import StreamEvent
from thornback.providers.entry import Trainer
from thornback.providers.port import Sighting
from thornback.remote.book import Book
from thornback.remote.desk import Desk
from thornback.remote.image_set import ImageSet
from thornback.remote.imports import import_of
from thornback.remote.interpret import Via
from thornback.remote.orders import Orders
from thornback.remote.training import Training
from thornback.telemetry import traces

log = get_logger("tracker")

_POLL_WAIT_S = 20.0
_POLL_PAUSE_S = 0.02
_INBOX_PAGE = 200

# Faults of ours, one after another, after which a job is given up.
MAX_CRASHES = 8


class Run(Protocol):
    """What follows one job."""

    async def run(self) -> None:
        """Until the job has ended."""
        ...

    async def look(self, via: Via) -> None:
        """Look at the provider now."""
        ...

    async def read_inbox(self) -> None:
        """A webhook came."""
        ...


@dataclass(slots=True, eq=False)
class Followed:
    """A job that is followed."""

    book: Book
    run: Run | None = None  # None until it could be read
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """The newest thing that went wrong."""

    at: datetime
    message: str
    job_id: str | None


class Tracker:
    """One per provider; belongs to the event loop of `run`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._orders = Orders(desk)
        self._followed: dict[str, Followed] = {}
        self._ready = asyncio.Event()
        self._problem: Problem | None = None
        self._newest_delivery = 0
        self._adopting: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The provider."""
        return self._desk.provider.name

    async def run(self) -> NoReturn:
        """Take up every job that has not ended, then follow for ever."""
        cursor = await self._outlast(self._feed_end)
        await self._outlast(self._recover)
        self._ready.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_feed(cursor), name="follow the feed")
                tasks.create_task(self._watch_inbox(), name="watch the inbox")
        finally:
            await self.stop()
        raise AssertionError("unreachable: both go on for ever")

    async def stop(self) -> None:
        """Let everything go; the orders stand, and the next start takes them up."""
        tasks = [followed.task for followed in self._followed.values() if followed.task is not None]
        for task in [*tasks, *self._adopting]:
            task.cancel()
        await asyncio.gather(*tasks, *self._adopting, return_exceptions=True)
        self._followed.clear()

    async def start(self, job_id: str) -> None:
        """Follow a job, or go on with it."""
        await self._ready.wait()
        await self._adopt(job_id)

    async def cancel(self, job_id: str) -> None:
        """End a job's orders. Unknown jobs are no error."""
        followed = self._followed.get(job_id)
        if followed is not None:
            followed.book.cancel_requested = True
            followed.book.ring()

    async def alive(self) -> list[str]:
        """The jobs that are followed, once those of the time before the start are among them."""
        await self._ready.wait()
        return list(self._followed)

    async def sync(self, job_id: str) -> str:
        """Look at the provider now and put right what it says otherwise; returns what was done, in words.

        Raises:
            JobNotFound: there is no such job.
            ProviderUnavailable, ProviderRefused, OrderUnknown: the provider cannot tell.
        """
        await self._ready.wait()
        job = (await asyncio.to_thread(self._desk.reader.job, job_id)).state
        if job.final is not None:
            return f"the job has ended as {job.status}, and nothing changes that any more"
        followed = await self._adopt(job_id)
        if followed is None or followed.run is None:
            return "the job is being taken up"
        await followed.run.look("sync")
        return "the provider was asked"

    async def import_training(self, provider_id: str) -> str:
        """Take over a training that was started elsewhere; returns our job's id, also where it is known already.

        Raises:
            OrderUnknown: the provider has no such training.
            ProviderUnavailable, ProviderRefused: it cannot tell.
        """
        await self._ready.wait()
        known = await asyncio.to_thread(self._desk.reader.order, self.name, provider_id)
        if known is not None:
            await self.sync(known.job_id)
            return known.job_id
        sighting = await self._search(provider_id)
        taken = import_of(sighting, via="sync", at=self._desk.now(), catalogue=self._desk.catalogue)
        await self._desk.recorder.create(taken.new)
        await self._desk.record(taken.events)
        await self._adopt(taken.new.job_id)
        return taken.new.job_id

    def health(self) -> dict[str, Any]:
        """How the provider and we are doing, JSON-ready."""
        health = asdict(self._desk.provider.health())
        plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in health.items()}
        problem = self._problem
        books = [followed.book for followed in self._followed.values()]
        open_orders = sum(not item.status.is_over for book in books for item in book.items.values())
        return {
            **plain,
            "ready": self._ready.is_set(),
            "jobs": len(books),
            "open_orders": open_orders,
            "last_problem": None
            if problem is None
            else {"at": problem.at.isoformat(), "message": problem.message, "job_id": problem.job_id},
        }

    async def _search(self, provider_id: str) -> Sighting:
        """A training by its id alone: fal answers only where its application is named, so each is asked."""
        rows = [row for row in self._desk.catalogue.list() if isinstance(row, Trainer) and row.provider == self.name]
        calls = {(row.application if self.name == "fal" else "", row.call): row.endpoint for row in rows}
        unknown = OrderUnknown(f"{self.name} knows no training {provider_id}", provider=self.name)
        for (_, call), endpoint in calls.items():
            try:
                return await self._desk.provider.look(endpoint, call, provider_id)
            except OrderUnknown as error:
                unknown = error
            except ProviderRefused:
                if self.name != "fal":
                    raise
        raise unknown

    async def _recover(self) -> None:
        for job in await asyncio.to_thread(self._desk.reader.active):
            if self._is_ours(job):
                await self._adopt(job.id)

    def _is_ours(self, job: JobState) -> bool:
        return job.runner == self.name and job.final is None and job.mark.phase >= PHASE_SCHEDULED

    async def _adopt(self, job_id: str) -> Followed | None:
        """Begin to follow; None where the job has ended or is none of ours."""
        followed = self._followed.get(job_id)
        if followed is not None:
            return followed
        book = await Book.open(self._desk, job_id)
        # another call may have been quicker while the database was read
        if job_id in self._followed or book.is_over or book.job.runner != self.name:
            return self._followed.get(job_id)
        followed = self._followed[job_id] = Followed(book)
        followed.task = asyncio.create_task(self._keep_running(followed), name=f"follow {job_id}")
        return followed

    async def _keep_running(self, followed: Followed) -> None:
        """Until the job has ended; a fault of ours ends an attempt to follow it, not the job."""
        book, crashes = followed.book, 0
        while not book.is_over:
            try:
                followed.run = await self._open_run(book)
                with traces.within(book.job.traceparent):
                    await followed.run.run()
                break
            except Exception as raised:  # one job that breaks us must not take the others with it
                error = _first_of(raised)
                self._note(error, book.job.id)
                if not isinstance(error, Unavailable):
                    log.exception("following a job failed", job_id=book.job.id)
                    crashes += 1
                if crashes >= MAX_CRASHES:
                    await self._give_up(book, error)
                    break
            await asyncio.sleep(self._desk.backoff(crashes + 1).total_seconds())
            await book.reload()
        del self._followed[book.job.id]

    async def _open_run(self, book: Book) -> Run:
        spec = parse_spec(book.job.spec)
        if spec.kind == "image_set":
            return await ImageSet.open(self._desk, self._orders, book)
        return await Training.open(self._desk, self._orders, book)

    async def _give_up(self, book: Book, error: Exception) -> None:
        message = f"it could not be followed: {type(error).__name__}: {error}; what it ordered may go on at {self.name}"
        event = EventFactory(book.job.id).failed(
            Attempt(1), reason=FailureReason.EXCEPTION, message=message, at=self._desk.now()
        )
        await self._desk.record([event])

    async def _feed_end(self) -> int:
        return (await self._desk.recorder.poll(-1, timeout_s=0.0)).cursor

    async def _follow_feed(self, cursor: int) -> NoReturn:
        while True:
            page = await self._outlast(partial(self._desk.recorder.poll, cursor, timeout_s=_POLL_WAIT_S))
            cursor = page.cursor
            if page.catch_up:
                await self._outlast(self._catch_up)
            for event in page.events:
                self._tell(event)
            await asyncio.sleep(_POLL_PAUSE_S)

    async def _catch_up(self) -> None:
        """The feed has forgotten some events: read everything again."""
        for followed in list(self._followed.values()):
            await followed.book.reload()
        await self._recover()

    def _tell(self, event: StreamEvent) -> None:
        followed = self._followed.get(event.job_id)
        if followed is not None:
            followed.book.tell(event)
        elif event.kind is EventKind.ITEM and event.data["provider"] == self.name:
            # a webhook has taken a training over
            task = asyncio.create_task(self._adopt_quietly(event.job_id))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)

    async def _adopt_quietly(self, job_id: str) -> None:
        try:
            await self._adopt(job_id)
        except (JobNotFound, InvalidInput, Unavailable) as error:
            self._note(error, job_id)

    async def _watch_inbox(self) -> NoReturn:
        """Most webhooks change no event: they bring logs, and those are in the inbox alone."""
        while True:
            await asyncio.sleep(self._desk.pace.inbox_s)
            if self._followed and self._desk.has_webhooks:
                await self._outlast(self._read_inbox)

    async def _read_inbox(self) -> None:
        page = await asyncio.to_thread(
            lambda: self._desk.reader.deliveries(state="applied", provider=self.name, limit=_INBOX_PAGE)
        )
        new = [row for row in page.deliveries if row.id > self._newest_delivery]
        self._newest_delivery = max((row.id for row in new), default=self._newest_delivery)
        for job_id in {row.job_id for row in new if row.job_id is not None}:
            followed = self._followed.get(job_id)
            if followed is not None and followed.run is not None:
                await followed.run.read_inbox()

    async def _outlast(self, act: Callable[[], Any]) -> Any:
        """Do something that the database or the recorder is needed for, however long they are away."""
        faults = 0
        while True:
            try:
                return await act()
            except ThornbackError as error:
                faults += 1
                self._note(error, None)
                await asyncio.sleep(self._desk.backoff(faults).total_seconds())

    def _note(self, error: Exception, job_id: str | None) -> None:
        message = error.message if isinstance(error, ThornbackError) else f"{type(error).__name__}: {error}"
        if self._problem is None or self._problem.message != message:
            log.warning("a problem", error=message, job_id=job_id)
        self._problem = Problem(self._desk.now(), message, job_id)


def _first_of(error: Exception) -> Exception:
    """What was raised inside a group of tasks."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
