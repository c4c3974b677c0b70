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
    Query(description="From here on; RFC 3339, without a zone it is UTC."),
]
Until = Annotated[Time | None, Query(description="Up to here; left out: until now.")]


def bounds(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Begin and end in UTC, None where there is none.

    Raises:
        InvalidInput: it ends before it begins.
    """
    begin = None if since is None else _utc(since, "since")
    end = None if until is None else _utc(until, "until")
    if begin is not None and end is not None and begin > end:
        raise InvalidInput.field("since", f"{begin.isoformat()} is after {end.isoformat()}")
    return begin, end


def period(since: datetime | None, until: datetime | None, *, now: datetime) -> tuple[datetime, datetime]:
    """The same, the last 30 days where nothing is said. Raises InvalidInput."""
    begin, end = bounds(since, until or now)
    assert end is not None  # noqa: S101 - given above
    return begin or end - DEFAULT_PERIOD, end


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
