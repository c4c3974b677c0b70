"""Following one order to its end: webhooks wake it, looks make up for those that stay away, time-outs bound it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from thornback.errors import BackendError, OrderUnknown, ProviderUnavailable, ThornbackError
from thornback.jobs.events import EventFactory
from thornback.jobs.items import ItemState, ItemStatus
from thornback.log import get_logger
from thornback.providers.port import OrderPhase, Sighting
from thornback.remote.book import Book
from thornback.remote.desk import Desk, told_wait_s
from thornback.remote.interpret import Via, events_of
from thornback.remote.schedule import Known, next_look

log = get_logger("tracker")

# Is told what a look brought; returns True where that was news.
OnSighting = Callable[[Sighting], Awaitable[bool]]


async def no_listener(_sighting: Sighting) -> bool:
    """For who only waits for the end."""
    return False


class Follower:
    """One order that the provider has."""

    def __init__(
        self,
        desk: Desk,
        book: Book,
        number: int,
        *,
        endpoint: str,
        call: str,
        is_training: bool,
        on_sighting: OnSighting = no_listener,
        is_ours: bool = True,
    ) -> None:
        """Make one.

        Args:
            desk: of the provider.
            book: of the job.
            number: of the item.
            endpoint: what was asked.
            call: training or prediction.
            is_training: see `events_of`.
            on_sighting: is told what looks bring.
            is_ours: False for what somebody else started: that is not ended because it takes long.
        """
        self._desk, self._book, self._number = desk, book, number
        self._is_ours = is_ours
        self._endpoint, self._call = endpoint, call
        self._is_training = is_training
        self._on_sighting = on_sighting
        self._known = Known(sent_at=desk.now())
        self._phase: OrderPhase | None = None
        self._unknown = 0  # answers "unknown" in a row
        self._unknown_at: datetime | None = None
        self._cancelled_at: datetime | None = None  # when the provider took our wish to end it

    @property
    def _item(self) -> ItemState:
        return self._book.items[self._number]

    async def end(self) -> ItemState:
        """Wait until the order has ended. Raises JobOver."""
        self._known = Known(sent_at=self._item.sent_at or self._desk.now())
        while not self._item.status.is_over:
            self._book.must_go_on()
            if self._book.cancel_requested and self._cancelled_at is None:
                await self._ask_to_end()
            overdue = self._overdue()
            if overdue is not None and self._known.looked_at is not None:
                await self._give_up(overdue)
                continue
            # after a long silence of ours it may have ended long ago: nothing is given up unseen
            due = self._desk.now() if overdue is not None and not self._known.faults else self._due()
            wait_s = (due - self._desk.now()).total_seconds()
            if wait_s > self._desk.pace.longest_s:
                wait_s = 0.0  # the clock was set back since we looked last
            if wait_s > 0:
                await self._book.news(self._number, within_s=wait_s)
            else:
                await self._look()
        return self._item

    async def look(self, via: Via) -> Sighting:
        """Look now and take down what is found. Raises ProviderUnavailable, ProviderRefused, OrderUnknown."""
        item = self._item
        sighting = await self._desk.provider.look(self._endpoint, self._call, str(item.provider_id))
        await self.take(sighting, via)
        return sighting

    async def take(self, sighting: Sighting, via: Via) -> bool:
        """Take down what was seen; True where it was news."""
        events = events_of(self._item, sighting, via=via, at=self._desk.now(), is_training=self._is_training)
        moved = sighting.phase is not self._phase
        self._phase = sighting.phase
        # the log first: a failure ends the job, and its last lines should be there by then
        news = await self._on_sighting(sighting)
        if moved or sighting.phase.is_over:
            await self._book.record(events)
        return news or moved

    async def _look(self) -> None:
        known = self._known
        try:
            sighting = await self._desk.provider.look(self._endpoint, self._call, str(self._item.provider_id))
        except OrderUnknown as error:
            await self._note_unknown(error)
        except (ProviderUnavailable, BackendError) as error:
            if not known.faults:
                log.warning("a look failed", job_id=self._book.job.id, item=self._number, error=error.message)
            self._note_fault(error)
        else:
            news = await self.take(sighting, "poll")
            self._unknown = 0
            self._known = replace(
                known,
                looked_at=self._desk.now(),
                idle_looks=0 if news else known.idle_looks + 1,
                faults=0,
                has_begun=sighting.phase is not OrderPhase.STARTING,
            )

    def _due(self) -> datetime:
        known = replace(self._known, heard_at=self._book.heard_at, urgent=self._cancelled_at is not None)
        return next_look(
            known,
            is_training=self._is_training,
            has_webhooks=self._desk.has_webhooks,
            pace=self._desk.pace,
            spread=self._desk.spread(),
        )

    def _note_fault(self, error: ThornbackError) -> None:
        self._known = replace(
            self._known, faults=self._known.faults + 1, failed_at=self._desk.now(), wait_s=told_wait_s(error)
        )

    async def _note_unknown(self, error: OrderUnknown) -> None:
        """Replicate has answered 404 for trainings that were still in its queue: one such answer is not the end."""
        heard_at = self._book.heard_at
        if self._unknown_at is not None and heard_at is not None and heard_at > self._unknown_at:
            self._unknown = 0
        self._unknown += 1
        self._unknown_at = self._desk.now()
        self._note_fault(error)
        if self._unknown >= self._desk.pace.lost_looks:
            await self._end("failed", f"{self._desk.provider.name} no longer knows the order: {error.message}")

    async def _ask_to_end(self) -> None:
        try:
            await self._desk.provider.cancel(self._endpoint, self._call, str(self._item.provider_id))
        except OrderUnknown:
            await self._end("cancelled", f"{self._desk.provider.name} does not know the order")
        except ProviderUnavailable as error:
            self._note_fault(error)
            await self._book.news(
                self._number, within_s=self._desk.backoff(self._known.faults, told_wait_s(error)).total_seconds()
            )
        except BackendError as error:
            log.warning("a cancel was refused", job_id=self._book.job.id, error=error.message)
            self._cancelled_at = self._desk.now()  # it goes on to its own end
        else:
            self._cancelled_at = self._desk.now()

    def _overdue(self) -> str | None:
        """Why the order is given up, None where it is not."""
        now, settings, name = self._desk.now(), self._desk.settings, self._desk.provider.name
        if self._cancelled_at is not None and now > self._cancelled_at + timedelta(seconds=self._desk.pace.cancel_s):
            return f"{name} was asked to end it and has not said that it did"
        if not self._is_ours:
            return None
        start, run = timedelta(seconds=settings.provider_start_s), timedelta(seconds=settings.provider_run_s)
        item = self._item
        sent_at = item.sent_at or self._known.sent_at
        if item.status is not ItemStatus.PROCESSING and now > sent_at + start:
            return f"{name} has not begun it within {start.total_seconds():g} s (THORNBACK_PROVIDER_START_S)"
        begun_at = (self._book.job.started_at if self._is_training else None) or sent_at + start
        if item.status is ItemStatus.PROCESSING and now > begun_at + run:
            return f"{name} has not finished it within {run.total_seconds():g} s (THORNBACK_PROVIDER_RUN_S)"
        return None

    async def _give_up(self, why: str) -> None:
        if self._cancelled_at is None:
            try:
                await self._desk.provider.cancel(self._endpoint, self._call, str(self._item.provider_id))
            except ThornbackError as error:
                why = f"{why}; it could not be cancelled: {error.message}"
        await self._end("cancelled" if self._book.cancel_requested else "failed", why)

    async def _end(self, status: str, error: str) -> None:
        item = self._item
        event = EventFactory(item.job_id).item(
            item.item,
            order=item.order,
            status=status,
            provider=self._desk.provider.name,
            provider_id=item.provider_id,
            at=self._desk.now(),
            via="poll",
            error=error,
        )
        await self._book.record([event])
