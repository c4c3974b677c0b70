"""Days and months in UTC, by which quotas are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def day_of(at: datetime) -> datetime:
    """The beginning of its day."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(at: datetime) -> datetime:
    """The beginning of its month."""
    return day_of(at).replace(day=1)


def next_day(at: datetime) -> datetime:
    """The beginning of the day after."""
    return day_of(at) + timedelta(days=1)


def next_month(at: datetime) -> datetime:
    """The beginning of the month after."""
    return (month_of(at) + timedelta(days=32)).replace(day=1)
