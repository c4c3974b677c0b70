"""How a call to a provider can fail, and the one map from that into our errors.

Whether an order may have been taken is decided here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from thornback.errors import (
    AnswerLost,
    InvalidInput,
    OrderUnknown,
    ProviderRefused,
    ProviderUnavailable,
    ThornbackError,
)
from thornback.providers.fal_body import detail_text
from thornback.providers.reading import clean_text, load_body, read_seconds

MAX_TEXT = 2000  # characters of a provider's words that are kept
DEFAULT_WAIT_S = 30.0  # after a 429 that does not say how long
MAX_WAIT_S = 3600.0

# Replicate: "Your rate limit resets in ~30s."
_RESETS = re.compile(r"resets? in ~?(\d+(?:\.\d+)?) ?s", re.IGNORECASE)
# The server, or one before it, gave up waiting: whatever it had read by then may be on its way.
_MAYBE_TAKEN = {HTTPStatus.REQUEST_TIMEOUT, 499}
_TRY_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS, 499}


class Fault(Exception):
    """A call that brought no usable answer; never leaves this package."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class NoAnswer(Fault):
    """Nothing came back."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent  # False: certainly nothing arrived there


class Unreadable(Fault):
    """It answered 2xx with something that is no answer."""


class Refusal(Fault):
    """It answered with an error status."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(_words(body) or f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body

    def wait_s(self, now: datetime) -> float | None:
        """How long it asks us to wait, in seconds."""
        told = _retry_after(self.headers.get("retry-after"), now)
        if told is None:
            told = read_seconds(_object(self.body).get("retry_after"))
        if told is None and (match := _RESETS.search(self.text)):
            told = float(match[1])
        if told is None and self.status == HTTPStatus.TOO_MANY_REQUESTS:
            told = DEFAULT_WAIT_S
        return min(told, MAX_WAIT_S) if told is not None else None


def order_error(provider: str, fault: Fault, now: datetime) -> ThornbackError:
    """What a failed order means: certainly not taken (refused, or later), or perhaps taken."""
    facts = _facts(provider, fault)
    if isinstance(fault, NoAnswer) and not fault.sent:
        return ProviderUnavailable(f"{provider} cannot be reached: {fault.text}", **facts)
    if isinstance(fault, Refusal):
        if fault.status == HTTPStatus.TOO_MANY_REQUESTS:
            return _limited(provider, fault, now)
        if fault.status < HTTPStatus.INTERNAL_SERVER_ERROR and fault.status not in _MAYBE_TAKEN:
            return ProviderRefused(f"{provider} refused the order: {fault.text}", **facts)
    return AnswerLost(f"{provider} may or may not have taken the order: {fault.text}", **facts)


def ask_error(provider: str, fault: Fault, now: datetime) -> ThornbackError:
    """What a failed question means; asking again is always safe."""
    facts = _facts(provider, fault)
    if isinstance(fault, Refusal):
        if fault.status == HTTPStatus.TOO_MANY_REQUESTS:
            return _limited(provider, fault, now)
        if fault.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return OrderUnknown(f"{provider} does not know it: {fault.text}", **facts)
        if fault.status < HTTPStatus.INTERNAL_SERVER_ERROR and fault.status not in _TRY_LATER:
            return ProviderRefused(f"{provider} refused: {fault.text}", **facts)
    return ProviderUnavailable(f"{provider} does not answer: {fault.text}", **facts)


def is_providers_fault(error: BaseException) -> bool:
    """True where the provider is in trouble; False where it works and only will not do this."""
    if isinstance(error, AnswerLost):
        return True
    return isinstance(error, ProviderUnavailable) and error.details.get("status") != HTTPStatus.TOO_MANY_REQUESTS


def _limited(provider: str, fault: Refusal, now: datetime) -> ProviderUnavailable:
    wait_s = fault.wait_s(now) or DEFAULT_WAIT_S
    message = f"{provider} limits us for {wait_s:g} s: {fault.text}"
    return ProviderUnavailable(message, **_facts(provider, fault), retry_after_s=wait_s)


def _facts(provider: str, fault: Fault) -> dict[str, object]:
    status = fault.status if isinstance(fault, Refusal) else None
    return {"provider": provider, "status": status, "text": fault.text}


def _words(body: bytes) -> str:
    """What an error body says, in whichever form."""
    text = clean_text(body.decode("utf-8", "replace")).strip()
    parsed = _object(body)
    told = detail_text(parsed) or parsed.get("title") or parsed.get("error") or parsed.get("status")
    return clean_text(str(told if told is not None else text))[:MAX_TEXT]


def _object(body: bytes) -> dict[str, object]:
    try:
        return load_body(body)
    except InvalidInput:
        return {}


def _retry_after(header: str | None, now: datetime) -> float | None:
    if not header:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return max((when - now).total_seconds(), 0.0)
