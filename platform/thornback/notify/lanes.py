"""Who is sent to next: in turn, a few at once for each receiver, and little for those in trouble. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many attempts may be on their way."""

    total: int = 64
    each: int = 4  # to one receiver

    @property
    def troubled(self) -> int:
        """To all receivers in trouble together: however many hang, half of the places are for the others."""
        return max(1, self.total // 2)


@dataclass(slots=True)
class _Lane(Generic[T]):
    waiting: deque[T] = field(default_factory=deque)
    running: int = 0
    is_troubled: bool = False
    held_until: datetime | None = None


class Lanes(Generic[T]):
    """One lane for each receiver; lanes take turns."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lanes: dict[str, _Lane[T]] = {}
        self._turns: dict[str, None] = {}  # the next one first
        self._running = 0
        self._troubled = 0  # of those running, how many began in a lane in trouble

    @property
    def running(self) -> int:
        """How many are on their way."""
        return self._running

    def put(self, lane: str, item: T) -> None:
        """Behind what waits in the lane."""
        if lane not in self._lanes:
            self._lanes[lane] = _Lane()
            self._turns[lane] = None
        self._lanes[lane].waiting.append(item)

    def mark(self, lane: str, *, is_troubled: bool, held_until: datetime | None) -> None:
        """How the receiver is doing."""
        if lane in self._lanes:
            self._lanes[lane].is_troubled, self._lanes[lane].held_until = is_troubled, held_until

    def is_idle(self, lane: str) -> bool:
        """True where nothing waits in the lane, and something could begin."""
        found = self._lanes.get(lane)
        return found is None or (not found.waiting and found.running < self._most(found))

    def clear(self, lane: str) -> list[T]:
        """Take out what waits in a lane."""
        if lane not in self._lanes:
            return []
        items = list(self._lanes[lane].waiting)
        self._lanes[lane].waiting.clear()
        return items

    def take(self, now: datetime) -> tuple[str, T, bool] | None:
        """The next that may begin, its lane, and the ticket to hand back with `done`; None where nothing may."""
        if self._running >= self._limits.total:
            return None
        for name in list(self._turns):
            lane = self._lanes[name]
            if not lane.waiting and not lane.running:
                del self._turns[name], self._lanes[name]
            elif lane.waiting and self._may_begin(lane, now):
                # Whoever was passed over keeps its turn.
                del self._turns[name]
                self._turns[name] = None
                lane.running += 1
                self._running += 1
                self._troubled += lane.is_troubled
                return name, lane.waiting.popleft(), lane.is_troubled
        return None

    def done(self, lane: str, *, ticket: bool) -> None:
        """One that was taken has ended."""
        self._lanes[lane].running -= 1
        self._running -= 1
        self._troubled -= ticket

    def _may_begin(self, lane: _Lane[T], now: datetime) -> bool:
        if lane.held_until is not None and now < lane.held_until:
            return False
        if lane.is_troubled and self._troubled >= self._limits.troubled:
            return False
        return lane.running < self._most(lane)

    def _most(self, lane: _Lane[T]) -> int:
        return 1 if lane.is_troubled else self._limits.each
