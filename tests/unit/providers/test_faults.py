from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.providers.make import NOON
from thornback.errors import AnswerLost, OrderUnknown, ProviderRefused, ProviderUnavailable, ThornbackError
from thornback.providers.faults import Fault, NoAnswer, Refusal, Unreadable, ask_error, order_error


def _refusal(status: int, body: Any = None, **headers: str) -> Refusal:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Refusal(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


@pytest.mark.parametrize(
    ("fault", "order", "ask"),
    [
        (NoAnswer("no route", sent=False), ProviderUnavailable, ProviderUnavailable),
        (NoAnswer("dropped", sent=True), AnswerLost, ProviderUnavailable),
        (Unreadable("<html>"), AnswerLost, ProviderUnavailable),
        (_refusal(307), ProviderRefused, ProviderRefused),
        (_refusal(401), ProviderRefused, ProviderRefused),
        (_refusal(402), ProviderRefused, ProviderRefused),
        (_refusal(404), ProviderRefused, OrderUnknown),
        (_refusal(408), AnswerLost, ProviderUnavailable),
        (_refusal(410), ProviderRefused, OrderUnknown),
        (_refusal(422), ProviderRefused, ProviderRefused),
        (_refusal(425), ProviderRefused, ProviderUnavailable),
        (_refusal(429), ProviderUnavailable, ProviderUnavailable),
        (_refusal(499), AnswerLost, ProviderUnavailable),
        (_refusal(500), AnswerLost, ProviderUnavailable),
        (_refusal(503), AnswerLost, ProviderUnavailable),
    ],
)
def test_what_each_fault_means(fault: Fault, order: type[ThornbackError], ask: type[ThornbackError]) -> None:
    """An order is only called not taken where that is certain."""
    assert type(order_error("fal", fault, NOON)) is order
    assert type(ask_error("fal", fault, NOON)) is ask


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"detail": "The specified training destination does not exist", "status": 404}, "The specified training"),
        ({"detail": [{"loc": ["body", "steps"], "msg": "too many"}]}, "body.steps: too many"),
        ({"title": "Unauthenticated"}, "Unauthenticated"),
        ({"status": "ALREADY_COMPLETED"}, "ALREADY_COMPLETED"),
        ("<html>Bad gateway</html>", "<html>Bad gateway</html>"),
        ("", "HTTP 404"),
    ],
)
def test_the_providers_words_are_kept(body: Any, text: str) -> None:
    error = order_error("replicate", _refusal(404, body), NOON)
    assert error.details["text"].startswith(text)
    assert (error.details["provider"], error.details["status"]) == ("replicate", 404)


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({}, {"retry_after": "17"}, 17.0),
        ({}, {"retry_after": "Sat, 21 Nov 2026 12:00:45 GMT"}, 45.0),
        ({}, {"retry_after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 30.0),  # over, and yet it refused
        ({}, {"retry_after": "soon"}, 30.0),
        ({}, {"retry_after": "1000000"}, 3600.0),
        ({"detail": "Request was throttled. Your rate limit resets in ~12s."}, {}, 12.0),
        ({"detail": "Your rate limit resets in ~12s.", "retry_after": 9}, {}, 9.0),
        ({"detail": "slow down", "retry_after": "soon"}, {}, 30.0),
    ],
)
def test_how_long_a_limit_lasts(body: Any, headers: dict[str, str], seconds: float) -> None:
    error = order_error("replicate", _refusal(429, body, **headers), NOON)
    assert error.details["retry_after_s"] == seconds
