"""When a message is sent again. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

# After the first attempt, which is made at once. In all 23 h 36 min 5 s, and up to a fifth more with the jitter.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 3600, 7200, 14_400, 21_600, 36_000))
JITTER = 0.2  # of a pause, added at random, so that those who fail together do not come back together

# A receiver that wants to be left alone for longer is taken to mean this long.
LONGEST_HOLD = timedelta(hours=6)


def next_attempt(failures: int, now: datetime, *, chance: float, not_before: datetime | None = None) -> datetime | None:
    """When a message is due after so many failed attempts, None where it is given up.

    Args:
        failures: 1 after the first.
        now: the end of the last attempt.
        chance: 0 to 1, drawn for this pause.
        not_before: until when the receiver wants to be left alone.
    """
    if failures > len(PAUSES):
        return None
    due = now + PAUSES[failures - 1] * (1 + JITTER * chance)
    return due if not_before is None else max(due, not_before)


def read_retry_after(text: str | None, now: datetime) -> datetime | None:
    """Until when a Retry-After header (RFC 9110: seconds or a date) asks for rest, None where it says nothing."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        wanted = (
            timedelta(seconds=min(int(text), int(LONGEST_HOLD.total_seconds()))) if len(text) < 10 else LONGEST_HOLD
        )
        return now + wanted
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None  # "-0000": a time of nobody knows where
    return min(at, now + LONGEST_HOLD) if at > now else None
