"""What a receiver's answer means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus


class Verdict(StrEnum):
    """What becomes of the message."""

    TAKEN = "taken"
    AGAIN = "again"  # later
    NEVER = "never"  # not this message
    GONE = "gone"  # nothing more, ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How an attempt ended."""

    verdict: Verdict
    status: int | None = None  # None: there was no answer
    problem: str | None = None  # None: it was taken
    hold_until: datetime | None = None  # the receiver asks for rest until then


def judge(status: int, *, hold_until: datetime | None = None) -> Answer:
    """What an HTTP status means: only 2xx is success, 3xx is not followed (Standard Webhooks 1.0)."""
    if 200 <= status < 300:
        return Answer(verdict=Verdict.TAKEN, status=status)
    if status == HTTPStatus.GONE:
        return Answer(verdict=Verdict.GONE, status=status, problem="410: the receiver wants nothing more")
    if 300 <= status < 400:
        return Answer(
            verdict=Verdict.AGAIN,
            status=status,
            problem=f"{status}: redirects are not followed; give the final address",
        )
    return Answer(verdict=Verdict.AGAIN, status=status, problem=_words(status), hold_until=hold_until)


def _words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
