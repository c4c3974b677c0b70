"""The time that a report is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator

from thornback.errors import InvalidInput

DEFAULT_PERIOD = timedelta(days=30)


def _no_number(value: object) -> object:
    """Pydantic reads a number as seconds since 1970; a time is written as one here."""
    if isinstance(value, str) and not value.strip("+-.0123456789e "):
        raise ValueError("write it as 2026-11-21T10:00:00Z")
    return value


Time = Annotated[datetime, BeforeValidator(_no_number)]
Since = Annotated[
    Time | None,
    Query(description="From here on (RFC 3339; without a zone it is UTC); left out: the last 30 days."),
]
Until = Annotated[Time | None, Query(description="Up to here; left out: until now.")]


def period(since: datetime | None, until: datetime | None, *, now: datetime) -> tuple[datetime, datetime]:
    """Begin and end, in UTC.

    Raises:
        InvalidInput: it ends before it begins.
    """
    end = now if until is None else _utc(until, "until")
    begin = end - DEFAULT_PERIOD if since is None else _utc(since, "since")
    if begin > end:
        raise InvalidInput.field("since", f"{begin.isoformat()} is after {end.isoformat()}")
    return begin, end


def _utc(time: datetime, name: str) -> datetime:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    try:
        aware = aware.astimezone(UTC)
    except OverflowError:
        raise InvalidInput.field(name, "is outside of all calendars") from None
    # Databases differ in which years they know.
    if not 1970 <= aware.year <= 9000:
        raise InvalidInput.field(name, "must be a year from 1970 to 9000")
    return aware
