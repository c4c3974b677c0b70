"""When to try again. Pure: it is handed its randomness and never sleeps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential back-off with full jitter: uniform in [0, min(longest_s, first_s * 2**n)], never under floor_s.

    Jitter over the whole range, because all clients of a restarted server come back at once.
    """

    first_s: float = 0.5
    longest_s: float = 10.0
    floor_s: float = 0.05
    give_up_after_s: float | None = None  # silence of the server after which a stream raises; None: never

    def delay(self, attempt: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Seconds to wait before try `attempt` (0 for the first repeat)."""
        # 2**32 s is beyond any cap; larger exponents overflow a float
        ceiling = min(self.longest_s, self.first_s * 2.0 ** min(attempt, 32))
        return max(self.floor_s, uniform(0.0, ceiling))
