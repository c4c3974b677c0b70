"""Placing an order without ever paying for it twice.

It is written down before it is sent. Whatever happens between that and the provider's answer (a lost
connection, a crash, a kill), the provider is asked for the order before it is sent again, and where the
provider cannot tell, it is not sent again at all: a webhook or the time-out decides.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from thornback.errors import (
    AnswerLost,
    BackendError,
    InvalidInput,
    ProviderError,
    ProviderUnavailable,
    StoreUnavailable,
    ThornbackError,
)
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.status import FailureReason
from thornback.log import get_logger
from thornback.providers.port import Order, Sighting
from thornback.remote.book import Book
from thornback.remote.desk import Desk, told_wait_s
from thornback.remote.interpret import events_of

log = get_logger("tracker")

# Tells people what an order waits for; None: nothing any more.
Say = Callable[[str | None], Awaitable[None]]


class Orders:
    """The orders of one provider."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # Orders that are equal to the provider go one after another: while the answer to one is awaited, the
        # other, looking for itself in the provider's list, would take it for its own.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def place(self, book: Book, order: Order, *, say: Say, is_training: bool) -> FailureReason | None:
        """Bring an order to the provider; returns once it is there, or has ended without getting there.

        Args:
            book: of the job.
            order: the same after a crash, or it could not be found.
            say: what it waits for.
            is_training: see `events_of`.

        Returns:
            Why it failed, None where it did not (or somebody cancelled it).

        Raises:
            JobOver: the job has ended meanwhile.
        """
        item = book.item(order.item)
        doubtful = item is not None and item.order >= order.number  # a call may have been made before a crash
        if not doubtful:
            await book.record([_event(order, "intended", self._desk)])
        intended = book.item(order.item)
        if intended is not None and intended.order == order.number:
            order = replace(order, intended_at=intended.intended_at)
        lock = self._lock(order)
        async with lock:
            return await _Placing(self._desk, book, order, say, is_training=is_training).run(doubtful=doubtful)

    def _lock(self, order: Order) -> asyncio.Lock:
        same = json.dumps([order.endpoint, order.call, dict(order.inputs)], sort_keys=True, default=str)
        key = hashlib.sha256(same.encode()).hexdigest()
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock


class _Placing:
    """One order on its way."""

    def __init__(self, desk: Desk, book: Book, order: Order, say: Say, *, is_training: bool) -> None:
        self._desk, self._book, self._order, self._say = desk, book, order, say
        self._is_training = is_training
        self._doubtful = False

    async def run(self, *, doubtful: bool) -> FailureReason | None:
        self._doubtful = doubtful
        faults = 0
        while not self._is_settled():
            self._book.must_go_on()
            if self._book.cancel_requested and not self._doubtful:
                await self._end("cancelled", "cancelled before it was sent")
                return None
            if self._left_s() == 0:
                return await self._give_up()
            try:
                if await self._step():
                    break
                continue
            except AnswerLost as error:
                self._doubtful, faults, wait_s = True, 0, self._desk.pace.settle_s
                await self._say(f"{error.message}; looking for it before anything is sent again")
            except (ProviderUnavailable, StoreUnavailable) as error:
                faults += 1
                wait_s = self._desk.backoff(faults, told_wait_s(error)).total_seconds()
                await self._say(f"{error.message}; trying again in {wait_s:.0f} s")
            except (BackendError, InvalidInput) as error:
                if not self._doubtful:
                    return await self._refused(error)
                faults += 1
                wait_s = self._desk.backoff(faults).total_seconds()
                await self._say(f"the order cannot be looked for: {error.message}")
            await self._book.news(self._order.item, within_s=min(wait_s, self._left_s()))
        await self._say(None)
        return None

    async def _step(self) -> bool:
        """Look for the order where it may have been sent, send it otherwise; True once it is there."""
        if self._doubtful:
            found = await self._look_for_it()
            if found is None:
                self._doubtful = False
                return False
            log.warning("an order was found again", job_id=self._order.job_id, provider_id=found.provider_id)
            await self._take(found)
            return True
        try:
            sighting = await self._desk.provider.submit(self._order)
        except ThornbackError:
            raise  # says itself whether it was taken
        except BaseException:
            self._doubtful = True  # cancelled in the middle, or a fault of ours: nobody knows
            raise
        await self._take(sighting)
        return True

    async def _look_for_it(self) -> Sighting | None:
        """None where the provider has said twice that it has none: a list may lag behind."""
        first = await self._search()
        if first is not None:
            return first
        await self._book.news(self._order.item, within_s=self._desk.pace.settle_s)
        return None if self._is_settled() else await self._search()

    async def _search(self) -> Sighting | None:
        known: set[str] = set()
        while True:
            try:
                found = await self._desk.provider.find(self._order, known=frozenset(known))
            except ProviderUnavailable as error:
                others: list[str] = error.details.get("may_be", [])
                if not others or any([await self._is_free(id) for id in others]):
                    raise
                known.update(others)
                continue
            if found is None or await self._is_free(found.provider_id):
                return found
            known.add(found.provider_id)

    async def _is_free(self, provider_id: str) -> bool:
        """True where no other order of ours has this id."""
        owner = await asyncio.to_thread(self._desk.reader.order, self._desk.provider.name, provider_id)
        mine = (self._order.job_id, self._order.item, self._order.number)
        return owner is None or (owner.job_id, owner.item, owner.order) == mine

    async def _take(self, sighting: Sighting) -> None:
        order = self._order
        item = ItemState(job_id=order.job_id, item=order.item, order=order.number, provider=sighting.provider)
        at = self._desk.now()
        await self._book.record(events_of(item, sighting, via="poll", at=at, is_training=self._is_training))

    async def _refused(self, error: ThornbackError) -> FailureReason:
        log.warning("an order was refused", job_id=self._order.job_id, item=self._order.item, error=error.message)
        await self._end("failed", error.message)
        is_known = isinstance(error, ProviderError)
        return FailureReason.PROVIDER_REFUSED if is_known else FailureReason.INVALID_DATA

    async def _give_up(self) -> FailureReason:
        name, limit = self._desk.provider.name, self._desk.settings.provider_start_s
        message = f"{name} did not take the order within {limit:g} s (THORNBACK_PROVIDER_START_S)"
        if self._doubtful:
            message = f"{name} may or may not have taken the order: look at your account there before ordering again"
        await self._end("failed", message)
        return FailureReason.PROVIDER_LOST

    async def _end(self, status: str, error: str) -> None:
        await self._book.record([_event(self._order, status, self._desk, via="poll", error=error)])
        await self._say(None)

    def _is_settled(self) -> bool:
        item = self._book.item(self._order.item)
        if item is None:
            return False
        return item.order > self._order.number or item.status is not ItemStatus.INTENDED or bool(item.provider_id)

    def _left_s(self) -> float:
        """How long the order may still take to arrive."""
        since = self._order.intended_at or self._desk.now()
        end = since + timedelta(seconds=self._desk.settings.provider_start_s)
        return max((end - self._desk.now()).total_seconds(), 0.0)


def _event(order: Order, status: str, desk: Desk, **facts: Any) -> JobEvent:
    return EventFactory(order.job_id).item(
        order.item, order=order.number, status=status, provider=desk.provider.name, at=desk.now(), **facts
    )
