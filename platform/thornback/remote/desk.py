"""What everything that follows a provider's jobs works with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from thornback.errors import InvalidInput, Unavailable
from thornback.jobs.events import JobEvent
from thornback.log import get_logger
from thornback.metrics.port import Ack, Recorder
from thornback.net.client import GuardedClient
from thornback.net.rules import AddressRules
from thornback.providers.catalogue import Catalogue
from thornback.providers.port import Provider
from thornback.remote.schedule import Pace, after_fault
from thornback.settings import Settings
from thornback.store.read import StoreReader

_log = get_logger("tracker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One per provider."""

    provider: Provider
    recorder: Recorder
    reader: StoreReader
    settings: Settings
    catalogue: Catalogue
    now: Callable[[], datetime]
    pace: Pace = field(default_factory=Pace)
    http: GuardedClient | None = None  # shared by all downloads; None: one for each
    spread: Callable[[], float] = random.random

    @property
    def rules(self) -> AddressRules:
        """What addresses in a provider's answers may lead to."""
        return AddressRules.of(self.settings)

    @property
    def has_webhooks(self) -> bool:
        """True where the provider can call us."""
        return self.settings.public_url is not None

    def webhook_url(self, job_id: str, item: int, order: int) -> str | None:
        """Where the provider is to call for an order, None where it cannot reach us."""
        base = self.settings.public_url
        if base is None:
            return None
        return f"{base.rstrip('/')}/api/v1/webhooks/{self.provider.name}?job={job_id}&item={item}&order={order}"

    async def record(self, events: Sequence[JobEvent]) -> Ack:
        """Commit, however long the database is away: what is not written down may not be acted upon."""
        faults = 0
        while True:
            try:
                return await self.recorder.record(events)
            except InvalidInput as error:
                # what can be stored of them is
                _log.error("events could not be stored", error=error.message, job_id=events[0].job_id)
                return await self.recorder.record([])
            except Unavailable as error:
                faults += 1
                if faults == 1:
                    _log.warning("waiting for the database", error=error.message)
                await asyncio.sleep(self.backoff(faults).total_seconds())

    def backoff(self, faults: int, wait_s: float | None = None) -> timedelta:
        """See `after_fault`."""
        return after_fault(faults, wait_s, pace=self.pace, spread=self.spread())


def told_wait_s(error: Exception) -> float | None:
    """What a provider told us to wait, None where it did not."""
    wait_s = getattr(error, "details", {}).get("retry_after_s")
    return float(wait_s) if isinstance(wait_s, int | float) else None
