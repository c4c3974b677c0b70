"""Tickets: short-lived, signed permissions to read, for addresses that cannot carry a header.

A ticket stands in the address of a stream, where logs may keep it: it can only read, at most one job where it names
one, and it ends soon.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime

_CONTEXT = b"thornback ticket 1:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Who may read what, until when."""

    user: str
    job_id: str | None  # None: whatever the user may read
    expires_at: datetime


def write_ticket(ticket: Ticket, secret: bytes) -> str:
    """The ticket as text: base64url of its content, a dot, base64url of its HMAC-SHA256."""
    content = json.dumps([ticket.user, ticket.job_id, int(ticket.expires_at.timestamp())]).encode()
    return f"{_encode(content)}.{_encode(_sign(content, secret))}"


def read_ticket(text: str, secret: bytes, *, now: datetime) -> Ticket | None:
    """The ticket; None where it is no ticket of ours or has ended."""
    body, _, signature = text.partition(".")
    try:
        content = _decode(body)
        if not hmac.compare_digest(_sign(content, secret), _decode(signature)):
            return None
    except (binascii.Error, ValueError):
        return None
    user, job_id, expires = json.loads(content)
    ticket = Ticket(user=user, job_id=job_id, expires_at=datetime.fromtimestamp(expires, UTC))
    return ticket if now < ticket.expires_at else None


def _sign(content: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + content, hashlib.sha256)


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
