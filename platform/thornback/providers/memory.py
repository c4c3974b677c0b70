"""A provider that is a dictionary: the twin for tests, told by the test what to lose and when to finish."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from thornback.errors import AnswerLost, OrderUnknown, ProviderRefused, ProviderUnavailable
from thornback.providers.inputs import covers
from thornback.providers.port import Order, OrderPhase, ProviderHealth, Sighting


class Outcome(StrEnum):
    """What becomes of an order that is sent."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"  # certainly not taken
    LIMITED = "limited"  # a 429
    TAKEN_UNHEARD = "taken_unheard"  # taken, and the answer was lost
    LOST = "lost"  # not taken, but nobody can know


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An order that this provider has taken, and would be paid for."""

    order: Order
    sighting: Sighting


class MemoryProvider:
    """Takes orders into `taken`; the test moves them on.

    `script` holds what becomes of the next orders, first to last; after it everything is taken.
    """

    def __init__(self, now: Callable[[], datetime], *, name: str = "replicate") -> None:
        self.name = name
        self.taken: dict[str, Taken] = {}
        self.script: deque[Outcome] = deque()
        self.uploads: list[Path] = []
        self.cancels: list[str] = []
        self.finds: list[Order] = []
        self.down = False  # nothing is answered
        self.list_works = True  # False: `find` cannot tell, as at fal
        self._now = now
        self._numbers = count(1)

    async def submit(self, order: Order) -> Sighting:
        """Take the order, or do what the script says."""
        outcome = self.script.popleft() if self.script else Outcome.TAKEN
        if self.down or outcome is Outcome.UNREACHABLE:
            raise self._unavailable("it cannot be reached")
        if outcome is Outcome.LIMITED:
            raise self._unavailable("it limits us", status=429, retry_after_s=30.0)
        if outcome is Outcome.REFUSED:
            raise ProviderRefused(f"{self.name} refused the order: no", provider=self.name, status=422, text="no")
        sighting = None if outcome is Outcome.LOST else self._take(order)
        if sighting is None or outcome is Outcome.TAKEN_UNHEARD:
            raise AnswerLost(f"{self.name} may have taken it", provider=self.name, status=None, text="dropped")
        return sighting

    async def find(self, order: Order, *, known: frozenset[str]) -> Sighting | None:
        """The first order with the same endpoint and inputs that is not known."""
        self.finds.append(order)
        self._must_be_up()
        for provider_id, taken in self.taken.items():
            same = taken.order.endpoint == order.endpoint and covers(taken.order.inputs, order.inputs)
            if same and provider_id not in known:
                return taken.sighting
        if not self.list_works:
            raise self._unavailable("it cannot tell", retry_after_s=30.0)
        return None

    async def look(self, endpoint: str, call: str, provider_id: str) -> Sighting:
        """The order as it stands."""
        self._must_be_up()
        return self._known(provider_id).sighting

    async def cancel(self, endpoint: str, call: str, provider_id: str) -> None:
        """End it, unless it has ended."""
        self._must_be_up()
        self.cancels.append(provider_id)
        if not self._known(provider_id).sighting.phase.is_over:
            self.move(provider_id, OrderPhase.CANCELLED, status="canceled")

    async def upload(self, path: Path, *, content_type: str | None = None) -> str:
        """Remember the file."""
        self._must_be_up()
        self.uploads.append(path)
        return f"https://files.invalid/{len(self.uploads)}/{path.name}"

    def download_headers(self, url: str) -> Mapping[str, str]:
        """None are needed."""
        return {}

    def health(self) -> ProviderHealth:
        """Always well, unless it is down."""
        return ProviderHealth(
            provider=self.name,
            breaker="open" if self.down else "closed",
            failures=5 if self.down else 0,
            retry_at=None,
            last_error="it is down" if self.down else None,
        )

    async def close(self) -> None:
        """Nothing to close."""

    def move(self, provider_id: str, phase: OrderPhase, **changes: Any) -> Sighting:
        """Bring an order forward; returns it as `look` will show it. Ends and starts are timed by themselves."""
        known = self._known(provider_id)
        sighting = known.sighting
        times: dict[str, Any] = {}
        if phase is not OrderPhase.STARTING and sighting.started_at is None:
            times["started_at"] = self._now()
        if phase.is_over:
            times["completed_at"] = self._now()
        sighting = replace(sighting, **({"phase": phase, "status": phase.value} | times | changes))
        self.taken[provider_id] = replace(known, sighting=sighting)
        return sighting

    def forget(self, provider_id: str) -> None:
        """No longer know an order, as Replicate did with some that had waited for half an hour."""
        del self.taken[provider_id]

    def _take(self, order: Order) -> Sighting:
        provider_id = f"memory-{next(self._numbers)}"
        sighting = Sighting(
            provider=self.name,
            provider_id=provider_id,
            phase=OrderPhase.STARTING,
            status="starting",
            model=order.endpoint.partition(":")[0],
            created_at=self._now(),
            inputs=dict(order.inputs),
        )
        self.taken[provider_id] = Taken(order=order, sighting=sighting)
        return sighting

    def _known(self, provider_id: str) -> Taken:
        if provider_id not in self.taken:
            raise OrderUnknown(f"{self.name} does not know {provider_id}", provider=self.name, status=404, text="")
        return self.taken[provider_id]

    def _must_be_up(self) -> None:
        if self.down:
            raise self._unavailable("it does not answer")

    def _unavailable(self, text: str, **details: Any) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{self.name}: {text}", **({"provider": self.name, "status": None, "text": text} | details)
        )
