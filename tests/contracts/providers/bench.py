"""A provider on the bench: ours, and a hold on the far side of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from thornback.providers.port import Order, Provider

ZIP = "https://files.example/set.zip"


class Clock:
    """Our time; the far side has its own."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """The time in UTC."""
        return datetime.now(UTC) + self._ahead

    def pass_s(self, seconds: float) -> None:
        """Let it go by."""
        self._ahead += timedelta(seconds=seconds)


class FarSide(Protocol):
    """What a test does to a provider."""

    def taken(self) -> int:
        """How many orders it has, and would be paid for."""
        ...

    def lose_the_answer(self) -> None:
        """It takes the next order, and then the connection drops."""
        ...

    def drop(self) -> None:
        """The connection drops before the next order is taken."""
        ...

    def limit(self) -> None:
        """It refuses the next order because there were too many, for a minute."""
        ...

    def refuse(self) -> None:
        """It refuses the next order for good."""
        ...

    async def begin(self, provider_id: str) -> None:
        """It begins with an order."""
        ...

    async def succeed(self, provider_id: str) -> None:
        """It finishes an order."""
        ...

    async def fail(self, provider_id: str) -> None:
        """It fails with an order that was made by `failing`."""
        ...


@dataclass(slots=True)
class Bench:
    """One provider, with orders that it takes."""

    provider: Provider
    far: FarSide
    clock: Clock
    endpoint: str
    call: Any
    lists_unfinished: bool  # False: an order that was lost is only found after its end
    rules_out: bool  # False: it can never tell that it has no such order
    order_inputs: Callable[[str], dict[str, Any]] = field(default=lambda prompt: {"prompt": prompt})
    destination: str | None = None
    before_failing: Callable[[], object] = field(default=lambda: None)  # where the far side must know beforehand

    def order(self, item: int = 1, number: int = 1, prompt: str = "a portrait of Ada") -> Order:
        """An order, written down just now."""
        return Order(
            job_id="6f1c8c3e",
            item=item,
            number=number,
            endpoint=self.endpoint,
            call=self.call,
            inputs=self.order_inputs(prompt),
            webhook_url=None,
            destination=self.destination,
            intended_at=self.clock(),
        )

    async def look(self, provider_id: str) -> Any:
        """The order as it stands."""
        return await self.provider.look(self.endpoint, self.call, provider_id)
