"""How often a provider may be called: a rate of our own, and what it tells us with a 429."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from aiolimiter import AsyncLimiter

from thornback.errors import ProviderUnavailable

CAREFUL_S = 120.0  # after a limit, calls go one a second for so long


class Throttle:
    """Lets calls through at a rate; none while the provider has told us to wait, and slowly after that.

    Replicate gives an account with little credit one call a second and six a minute, and says so by a 429
    alone; without the slow spell, everything that waited would run into the next one together.
    """

    def __init__(self, provider: str, now: Callable[[], datetime], *, per_minute: int) -> None:
        self._provider = provider
        self._now = now
        # A bucket that holds n and leaks n a minute lets 2n through in its first minute.
        self._steady = AsyncLimiter(per_minute / 2, 60.0)
        self._slow = AsyncLimiter(1, 1.0)
        self._until: datetime | None = None

    @property
    def limited_until(self) -> datetime | None:
        """Until when the provider told us to wait, None where that is over."""
        return self._until if self._until is not None and self._until > self._now() else None

    async def enter(self) -> None:
        """Wait for our turn.

        Raises:
            ProviderUnavailable: the provider has told us to wait for longer.
        """
        self._refuse_while_limited()
        await self._steady.acquire()
        if self._until is not None and self._now() < self._until + timedelta(seconds=CAREFUL_S):
            await self._slow.acquire()
        self._refuse_while_limited()  # it may have been told while we waited

    def limit(self, seconds: float) -> None:
        """The provider told us to wait."""
        until = self._now() + timedelta(seconds=seconds)
        self._until = max(self._until or until, until)

    def _refuse_while_limited(self) -> None:
        until = self.limited_until
        if until is not None:
            wait_s = round((until - self._now()).total_seconds(), 1)
            raise ProviderUnavailable(
                f"{self._provider} limits us for another {wait_s:g} s",
                provider=self._provider,
                status=429,
                text=None,
                retry_at=until.isoformat(),
                retry_after_s=wait_s,
            )
