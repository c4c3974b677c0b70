"""What the database knows of a webhook, asked for all that wait at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from thornback.metrics.gather import Gatherer
from thornback.store.read import StoreReader
from thornback.store.sought import Known, Sought, look_up

T = TypeVar("T")

MOST = 200  # in one query


class Asks(Protocol):
    """Asks the database off the event loop."""

    def __call__(self, question: Callable[[StoreReader], T], /) -> Awaitable[T]:
        """The answer to `question`."""
        ...


class BatchedLookup:
    """One query at a time, for all that wait. One event loop uses it."""

    def __init__(self, ask: Asks) -> None:
        self._ask = ask
        self._gather: Gatherer[Sought, Known] = Gatherer(self._read, most=MOST)

    async def __call__(self, sought: Sought) -> Known:
        """What is known of a webhook. Raises StoreUnavailable."""
        return await self._gather(sought)

    async def _read(self, wanted: list[Sought]) -> Sequence[Known]:
        return await self._ask(lambda store: look_up(store.engine, wanted))
