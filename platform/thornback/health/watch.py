"""Asks every part again and again and tells the metrics how they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from thornback.errors import ThornbackError
from thornback.health.ask import Check, ask_all
from thornback.health.money import Money
from thornback.health.parts import Tells
from thornback.log import get_logger
from thornback.telemetry import catalogue

EVERY_S = 10.0
CHECK_S = 5.0  # longer than for a person, who waits: a part that is slow for a moment is not away
MONEY_EVERY = 6  # rounds

_BREAKER = {"closed": 0.0, "half-open": 1.0, "open": 2.0}

log = get_logger("health")


class Watch:
    """One per platform."""

    def __init__(
        self,
        *,
        checks: Mapping[str, Check],
        disk_free: Callable[[], int],
        money: Callable[[], Money],
        every_s: float = EVERY_S,
    ) -> None:
        """Nothing is asked yet.

        Args:
            checks: the parts by name.
            disk_free: bytes; it blocks.
            money: it blocks.
            every_s: between two rounds.
        """
        self._checks = checks
        self._disk_free = disk_free
        self._money = money
        self._every_s = every_s
        self._away: frozenset[str] = frozenset()

    async def run(self) -> NoReturn:
        """Watch for ever."""
        rounds = 0
        while True:
            await self.look()
            if rounds % MONEY_EVERY == 0:
                await self._quietly(self.count_money)
            rounds += 1
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Ask all parts once; raises nothing."""
        found = await ask_all(self._checks, within_s=CHECK_S)
        for name, answer in found.items():
            catalogue.COMPONENT_UP.set(float(answer.ok), component=name)
        away = frozenset(name for name, answer in found.items() if not answer.ok)
        for name in sorted(away - self._away):
            log.warning("a part does not work", part=name, problem=found[name].error)
        for name in sorted(self._away - away):
            log.info("a part works again", part=name)
        self._away = away
        await self._quietly(self._measure_disk)

    async def count_money(self) -> None:
        """Tell what was spent. Raises StoreUnavailable."""
        money = await asyncio.to_thread(self._money)
        catalogue.SPEND.set(money.day_usd, period="day")
        catalogue.SPEND.set(money.month_usd, period="month")
        for limit, share in money.shares.items():
            catalogue.QUOTA_SHARE.set(share, limit=limit.value)

    async def _measure_disk(self) -> None:
        catalogue.DISK_FREE.set(await asyncio.to_thread(self._disk_free))

    async def _quietly(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except ThornbackError as error:
            log.warning("cannot be measured now", reason=error.message)
        except Exception:
            # What measures runs beside the dispatcher and must not end it.
            log.exception("measuring went wrong")


class MeasuredTracker:
    """A tracker whose answers about the provider are metrics as well."""

    def __init__(self, provider: str, tracker: Tells) -> None:
        self._provider = provider
        self._tracker = tracker

    async def health(self) -> Mapping[str, Any]:
        """See Tracker."""
        found = await self._tracker.health()
        if (state := _BREAKER.get(str(found.get("breaker")))) is not None:
            catalogue.BREAKER.set(state, provider=self._provider)
        catalogue.OPEN_ORDERS.set(float(found.get("open_orders", 0)), provider=self._provider)
        return found
