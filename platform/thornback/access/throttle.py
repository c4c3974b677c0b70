"""How often somebody may try to sign in. Pure: the time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta

FREE = 5  # failures before the first pause
LONGEST = timedelta(minutes=15)
REMEMBERED = 10_000  # names and addresses; the oldest are forgotten


class Throttle:
    """Pauses of 1, 2, 4, … seconds after the fifth failure in a row, up to a quarter of an hour."""

    def __init__(self, *, free: int = FREE) -> None:
        self._free = free
        self._failures: OrderedDict[Hashable, tuple[int, datetime]] = OrderedDict()

    def wait(self, who: Hashable, *, now: datetime) -> timedelta:
        """How long `who` has to wait before another try; zero where there is no need to."""
        count, last = self._failures.get(who, (0, now))
        if count < self._free:
            return timedelta(0)
        pause = min(LONGEST, timedelta(seconds=2 ** min(count - self._free, 20)))
        return max(timedelta(0), last + pause - now)

    def failed(self, who: Hashable, *, now: datetime) -> None:
        """Remember a failure."""
        count, _ = self._failures.pop(who, (0, now))
        self._failures[who] = (count + 1, now)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, who: Hashable) -> None:
        """Forget the failures."""
        self._failures.pop(who, None)
