"""How a provider is called: orders once, questions again where that helps, both under its rates and its breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from thornback.errors import InvalidInput, ProviderUnavailable, ThornbackError
from thornback.providers.breaker import Breaker
from thornback.providers.faults import Fault, NoAnswer, Unreadable, ask_error, order_error
from thornback.providers.measured import measured
from thornback.providers.port import ProviderHealth
from thornback.providers.throttle import Throttle

Answer = TypeVar("Answer")
ToError = Callable[[str, Fault, datetime], ThornbackError]

ORDER_S = 90.0  # for a whole order, whatever the client does meanwhile
ASK_S = 60.0
UPLOAD_S = 3600.0
TRIES = 3  # of a question: 0 s, then up to 1 s, then up to 2 s later


class Calls:
    """The calls to one provider."""

    def __init__(
        self,
        provider: str,
        now: Callable[[], datetime],
        *,
        orders_per_minute: int,
        questions_per_minute: int,
        breaker: Breaker | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._provider = provider
        self._now = now
        self._orders = Throttle(provider, now, per_minute=orders_per_minute)
        self._questions = Throttle(provider, now, per_minute=questions_per_minute)
        self._breaker = breaker or Breaker(provider)
        self._sleep = sleep

    async def order(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """Send something that costs money: once.

        Raises:
            AnswerLost: it may have been taken.
            ProviderUnavailable: it was certainly not taken.
            ProviderRefused: it will not be taken.
        """
        await self._orders.enter()
        with measured(self._provider, "order"):
            return await self._attempt(send, ORDER_S, order_error, self._orders)

    async def ask(self, send: Callable[[], Awaitable[Answer]], *, within_s: float = ASK_S) -> Answer:
        """Send something that may arrive twice; repeated with jitter while the provider is in trouble.

        Raises:
            ProviderUnavailable: it does not answer or limits us.
            ProviderRefused: it will not.
            OrderUnknown: it knows nothing of it.
        """
        tries = AsyncRetrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(multiplier=1.0, max=5.0),
            retry=retry_if_exception(_may_help),
            sleep=self._sleep,
            reraise=True,
        )

        async def once() -> Answer:
            await self._questions.enter()
            with measured(self._provider, "ask"):
                return await self._attempt(send, within_s, ask_error, self._questions)

        return await tries(once)

    def health(self) -> ProviderHealth:
        """Breaker and limits."""
        breaker = self._breaker
        return ProviderHealth(
            provider=self._provider,
            breaker=breaker.state,
            failures=breaker.failures,
            retry_at=breaker.retry_at,
            last_error=breaker.last_error,
            limited_until=self._orders.limited_until or self._questions.limited_until,
        )

    async def _attempt(
        self, send: Callable[[], Awaitable[Answer]], within_s: float, to_error: ToError, throttle: Throttle
    ) -> Answer:
        async with self._breaker.guard():
            try:
                async with asyncio.timeout(within_s):
                    return await send()
            except Fault as caught:
                fault: Fault = caught
            except TimeoutError:
                fault = NoAnswer(f"nothing within {within_s:g} s", sent=True)
            except InvalidInput as caught:  # its answer, as we read it
                fault = Unreadable(f"its answer cannot be read: {caught.message}")
            error = to_error(self._provider, fault, self._now())
            if error.details.get("status") == 429:
                throttle.limit(error.details["retry_after_s"])
            raise error


def _may_help(error: BaseException) -> bool:
    """True where the same question may be answered a moment later; not where we know how long to wait."""
    return isinstance(error, ProviderUnavailable) and "retry_after_s" not in error.details


def none_for_sure(provider: str, quiet_s: float, settle_s: float) -> None:
    """Refuse to believe that an order was not taken while it may still be on its way.

    Args:
        provider: whose list does not hold it.
        quiet_s: seconds since it can last have been sent.
        settle_s: after so many it would stand in the list.

    Raises:
        ProviderUnavailable: it is too early to tell.
    """
    if quiet_s < settle_s:
        wait: dict[str, Any] = {"retry_after_s": round(settle_s - quiet_s + 0.05, 2)}
        raise ProviderUnavailable(
            f"{provider} does not list the order yet; it may still be on its way",
            provider=provider,
            status=None,
            **wait,
        )
