"""Which of the waiting calls go into the next database transaction.

Pure: knows no thread, no clock and no database. Calls of one lane (a job) keep their order; lanes take
turns, so that a job that floods its own lane does not hold up the others; urgent calls go first.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """Calls that wait, and the rule that picks the next of them."""

    def __init__(self, capacity: int) -> None:
        """`capacity`: the greatest weight of one batch; a call heavier than that goes alone."""
        self._capacity = capacity
        self._urgent: deque[tuple[T, int]] = deque()
        self._lanes: OrderedDict[str, deque[tuple[T, int]]] = OrderedDict()
        self._weight = 0

    def __bool__(self) -> bool:
        return bool(self._urgent or self._lanes)

    @property
    def weight(self) -> int:
        """The weight of all that waits."""
        return self._weight

    def put(self, call: T, *, lane: str, weight: int, urgent: bool = False) -> None:
        """Add a call. `weight` is at least 1; urgent calls have no lane."""
        self._weight += weight
        if urgent:
            self._urgent.append((call, weight))
        else:
            self._lanes.setdefault(lane, deque()).append((call, weight))

    def take(self) -> list[T]:
        """Remove and return the next batch; empty where nothing waits."""
        # Urgent calls leave half of the room to the others, so that no flood of them stops the rest.
        room = self._capacity // 2 if self._lanes else self._capacity
        batch: list[T] = []
        used = self._take_urgent(batch, room)
        while self._lanes:
            lane, calls = next(iter(self._lanes.items()))
            call, weight = calls[0]
            if batch and used + weight > self._capacity:
                break  # this lane stays in front and is served first next time
            calls.popleft()
            batch.append(call)
            used += weight
            del self._lanes[lane]
            if calls:
                self._lanes[lane] = calls  # to the end of the line
        self._weight -= used
        return batch

    def _take_urgent(self, batch: list[T], room: int) -> int:
        used = 0
        while self._urgent and (not batch or used + self._urgent[0][1] <= room):
            call, weight = self._urgent.popleft()
            batch.append(call)
            used += weight
        return used
