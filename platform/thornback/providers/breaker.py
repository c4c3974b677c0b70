"""A circuit breaker for one provider: after five faults in a row it is left alone, then one call probes it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import Context, OpenedState

from thornback.errors import ProviderUnavailable, ThornbackError
from thornback.providers.faults import is_providers_fault

FAULTS = 5  # in a row
OPEN_S = 30.0


class Breaker:
    """purgatory's breaker, with two things it has not: only one probe at a time, and calls that count for nothing.

    A call that was cancelled tells nothing of the provider, and one that the provider refused tells that it works.
    """

    def __init__(self, provider: str, *, faults: int = FAULTS, open_s: float = OPEN_S) -> None:
        self._provider = provider
        self._open_s = open_s
        # the factory keeps it in memory; nothing of it waits for anything
        self._factory = AsyncCircuitBreakerFactory(default_threshold=faults, default_ttl=open_s)
        self._circuit: Context | None = None
        self._probing = False
        self.last_error: str | None = None

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        if self._circuit is None or self._circuit.state == "closed":
            return "closed"
        return "half-open" if self._circuit.state == "half-opened" or self._is_due() else "open"

    @property
    def failures(self) -> int:
        """Faults in a row; an open breaker has had them all."""
        if self._circuit is None:
            return 0
        return int(self._circuit.failure_count or 0) if self._circuit.state == "closed" else self._circuit.threshold

    @property
    def retry_at(self) -> datetime | None:
        """When an open breaker lets one call through."""
        if self._circuit is None or self._circuit.opened_at is None:
            return None
        return datetime.fromtimestamp(self._circuit.opened_at, UTC) + timedelta(seconds=self._open_s)

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        """Run one call.

        Raises:
            ProviderUnavailable: it is open, or another call is probing.
        """
        circuit = self._circuit = (await self._factory.get_breaker(self._provider)).context
        if circuit.opened_at is not None and circuit.opened_at > time.time():
            circuit._state.opened_at = time.time()  # the clock was set back, and it would stay open for as long
        if self._probing:
            raise self._refusal()
        try:
            circuit.handle_new_request()
        except OpenedState:
            raise self._refusal() from None
        self._probing = probe = circuit.state != "closed"
        try:
            yield
        except ThornbackError as error:
            self._count(circuit, error)
            raise
        else:
            circuit.handle_end_request()
        finally:
            circuit.messages.clear()  # they are for stores that we have not
            if probe:
                self._probing = False

    def _count(self, circuit: Context, error: ThornbackError) -> None:
        if is_providers_fault(error):
            self.last_error = error.message
            circuit.handle_exception(error)
        else:
            circuit.handle_end_request()

    def _is_due(self) -> bool:
        return self.retry_at is not None and datetime.now(UTC) > self.retry_at

    def _refusal(self) -> ProviderUnavailable:
        at = self.retry_at or datetime.now(UTC) + timedelta(seconds=1)
        wait_s = max((at - datetime.now(UTC)).total_seconds(), 1.0)
        return ProviderUnavailable(
            f"{self._provider} is left alone until {at:%H:%M:%S} UTC, after {self.failures} faults in a row; "
            f"the last was: {self.last_error}",
            provider=self._provider,
            status=None,
            text=self.last_error,
            breaker=self.state,
            retry_at=at.isoformat(),
            retry_after_s=round(wait_s, 1),
        )
