"""Which order of ours a webhook is about, asked of the database for all webhooks that wait, at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from thornback.errors import ThornbackError
from thornback.store.read import StoreReader
from thornback.store.sought import Found, Sought, find_orders

T = TypeVar("T")

MOST = 200  # in one query


class Asks(Protocol):
    """Asks the database off the event loop."""

    def __call__(self, question: Callable[[StoreReader], T], /) -> Awaitable[T]:
        """The answer to `question`."""
        ...


class OrderFinder:
    """Gathers what is asked while a query runs and asks it in the next. One event loop uses it."""

    def __init__(self, ask: Asks) -> None:
        self._ask = ask
        self._waiting: list[tuple[Sought, asyncio.Future[Found | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, sought: Sought) -> Found | None:
        """The order, None where nobody gave it. Raises StoreUnavailable."""
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((sought, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            wanted = [sought for sought, _ in batch]
            try:
                found: Sequence[Found | None] = await self._ask(partial(_find, wanted=wanted))
            except ThornbackError as error:
                _fail([answer for _, answer in batch], error)
                continue
            except BaseException as error:
                _fail([answer for _, answer in batch], ThornbackError(f"the orders could not be read: {error!r}"))
                raise
            for (_, answer), item in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(item)


def _find(store: StoreReader, wanted: Sequence[Sought]) -> list[Found | None]:
    return find_orders(store.engine, wanted)


def _fail(answers: Sequence[asyncio.Future[Found | None]], error: ThornbackError) -> None:
    for answer in answers:
        if not answer.done():
            # a copy each: an exception that was raised carries the traceback of whoever raised it
            answer.set_exception(type(error).rebuild(error.message, error.details))
