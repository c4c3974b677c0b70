"""The newest committed events in memory, for subscribers that follow with a cursor.

Pure: knows no thread and no clock. What left the memory is never skipped silently: who asks for it is
told to read the database first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from thornback.metrics.port import Page, StreamEvent


class Feed:
    """A bounded ring of events in the order of their ids.

    Every committed event whose id lies above `floor` is in memory; those up to it are only in the database.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._events: list[StreamEvent] = []
        self._first = 0  # index of the oldest event that counts; those before it await the next compaction
        self._floor = 0
        self._cursor = 0
        self._ready = False

    @property
    def cursor(self) -> int:
        """The id of the newest event that is known to be in the database."""
        return self._cursor

    @property
    def ready(self) -> bool:
        """False until `restart` has said where the database stands."""
        return self._ready

    def __len__(self) -> int:
        return len(self._events) - self._first

    def restart(self, cursor: int) -> None:
        """Begin anew at `cursor`, the newest id in the database; subscribers behind it must read there.

        Does nothing where the memory already reaches that far.
        """
        if self._ready and cursor <= self._cursor:
            return
        self._events.clear()
        self._first = 0
        self._floor = self._cursor = cursor
        self._ready = True

    def publish(self, events: Sequence[StreamEvent]) -> None:
        """Append what a commit brought, in the order of ids."""
        if not events:
            return
        self._events.extend(events)
        self._cursor = events[-1].id
        surplus = len(self) - self._capacity
        if surplus > 0:
            self._first += surplus
            self._floor = self._events[self._first - 1].id
        if self._first > self._capacity:
            del self._events[: self._first]
            self._first = 0

    def read(self, cursor: int, limit: int) -> Page | None:
        """Events after `cursor`, at most `limit`; None where there is nothing to say yet.

        A cursor above the newest known id is that of a reader who saw a commit in the database before it
        was published here; it is in order and waits.
        """
        if not self._ready:
            return None
        if cursor < 0:
            return Page(events=(), cursor=self._cursor)
        if cursor < self._floor:
            return Page(events=(), cursor=self._cursor, catch_up=True)
        if cursor >= self._cursor:
            return None
        start = bisect_right(self._events, cursor, lo=self._first, key=lambda event: event.id)
        events = tuple(self._events[start : start + limit])
        return Page(events=events, cursor=events[-1].id)
