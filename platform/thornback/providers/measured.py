"""Calls to providers as metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from thornback.errors import AnswerLost, OrderUnknown, ProviderRefused, ProviderUnavailable, ThornbackError
from thornback.telemetry import catalogue, traces

_OUTCOMES: tuple[tuple[type[ThornbackError], str], ...] = (
    (AnswerLost, "lost"),
    (ProviderUnavailable, "unavailable"),
    (ProviderRefused, "refused"),
    (OrderUnknown, "unknown"),
)


@contextmanager
def measured(provider: str, call: str) -> Iterator[None]:
    """Count one call by its outcome; one that the breaker held back took no time.

    Args:
        provider: who is called.
        call: order or ask.
    """
    began = time.perf_counter()
    outcome = "error"
    try:
        with traces.span(f"{provider} {call}", about={"peer.service": provider}):
            yield
        outcome = "ok"
    except ThornbackError as error:
        outcome = outcome_of(error)
        raise
    finally:
        catalogue.PROVIDER_CALLS.add(provider=provider, call=call, outcome=outcome)
        if outcome != "held":
            catalogue.PROVIDER_CALL.observe(time.perf_counter() - began, provider=provider, call=call)


def outcome_of(error: ThornbackError) -> str:
    """The tag for an error."""
    if "breaker" in error.details:
        return "held"
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), "error")
