"""The time, and waiting for it: what the sender is given, so that a day of retries can be tried in a moment."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Protocol

# Changes that others make in the database (a test, a replay) are seen within this time.
TICK_S = 1.0


class Clock(Protocol):
    """Tells the time, and rests."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    async def rest(self, wake: asyncio.Event, until: datetime | None, *, busy: bool) -> None:
        """Wait until `wake` is set or the time has come, and clear it; `busy`: attempts are on their way."""
        ...


class SystemClock:
    """This machine's."""

    def now(self) -> datetime:
        """See Clock."""
        return datetime.now(UTC)

    async def rest(self, wake: asyncio.Event, until: datetime | None, *, busy: bool) -> None:
        """See Clock; never longer than a tick."""
        left_s = TICK_S if until is None else min(TICK_S, max(0.0, (until - self.now()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), left_s)
        wake.clear()
