"""Where the moving windows of `limits` are kept: in this process, by a clock that never jumps.

The library's own memory goes by the clock on the wall, which locks everybody out where that is put back, and looks
through all keys in a thread every 10 ms.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from limits.storage import MovingWindowSupport, Storage

MOST_KEYS = 50_000  # beyond it those that were quiet for longest are forgotten


class Windows(Storage, MovingWindowSupport):
    """The times of the last hits of each key, the oldest first. Safe to use from many threads."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds from any beginning."""
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._hits: OrderedDict[str, tuple[list[float], float]] = OrderedDict()  # with the length of the window

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits where the window has room for all of them."""
        with self._lock:
            now = self._clock()
            hits = self._of(key, expiry, now)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            self._hits[key] = (hits, expiry)
            self._hits.move_to_end(key)
            self._forget_the_quiet(now)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the window began, and how many hits are in it."""
        with self._lock:
            now = self._clock()
            hits = self._of(key, expiry, now)
            return (hits[0], len(hits)) if hits else (now, 0)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count hits whatever the limit; how many are in the window then."""
        with self._lock:
            now = self._clock()
            hits = self._of(key, expiry, now)
            hits.extend([now] * amount)
            self._hits[key] = (hits, expiry)
            return len(hits)

    def get(self, key: str) -> int:
        """How many hits are in the window."""
        with self._lock:
            hits, expiry = self._hits.get(key, ([], 0.0))
            return len(hits) - bisect_right(hits, self._clock() - expiry)

    def get_expiry(self, key: str) -> float:
        """When the oldest hit leaves the window."""
        with self._lock:
            hits, expiry = self._hits.get(key, ([], 0.0))
            return hits[0] + expiry if hits else self._clock()

    def check(self) -> bool:
        """It is always there."""
        return True

    def reset(self) -> int:
        """Forget everything; how many keys there were."""
        with self._lock:
            count = len(self._hits)
            self._hits.clear()
            return count

    def clear(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._hits.pop(key, None)

    def __len__(self) -> int:
        return len(self._hits)

    def _of(self, key: str, expiry: float, now: float) -> list[float]:
        hits, _ = self._hits.get(key, ([], 0.0))
        if hits and hits[0] <= now - expiry:
            del hits[: bisect_right(hits, now - expiry)]
        return hits

    def _forget_the_quiet(self, now: float) -> None:
        """One or two of them at each hit, so that no hit takes long."""
        for _ in range(2):
            key, (hits, expiry) = next(iter(self._hits.items()))
            if len(self._hits) <= MOST_KEYS and hits and hits[-1] > now - expiry:
                return
            if len(self._hits) == 1:
                return
            del self._hits[key]
