"""When to look at an order next. Pure: the time and the jitter are arguments.

A webhook is quicker than any poll, so while they come, or are due, a look is only a safety net. Where they
stay away although they should have come, looks take their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often, in seconds."""

    first_s: float = 2.0  # after the order was sent, where nobody can call us
    growth: float = 1.3  # each look that brought nothing new makes the next wait so much longer …
    quick_s: float = 5.0  # … up to this where a training moves,
    calm_s: float = 15.0  # and up to this before it begins
    trust_s: float = 30.0  # a webhook so long ago still counts as news
    safety_s: float = 120.0  # the longest without a look, however many webhooks come
    overdue_s: float = 60.0  # an image that nothing was heard of for so long should have been heard of
    retry_s: float = 1.0  # after a fault, doubled each time …
    retry_cap_s: float = 60.0  # … up to this
    settle_s: float = 2.0  # between two looks for an order whose answer was lost
    lost_looks: int = 5  # so many answers "unknown" in a row, and the order is lost
    inbox_s: float = 1.0  # how often the inbox of webhooks is read for logs
    cancel_s: float = 120.0  # a provider that does not end an order so long after it was asked to is left alone
    longest_s: float = 900.0  # nothing above makes a wait so long: the clock was set back
    fetch_s: float = (
        7200.0  # files that could not be fetched so long after the end are given up; a provider's hour off is not
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the next look depends on."""

    sent_at: datetime
    looked_at: datetime | None = None  # the last look that was answered
    heard_at: datetime | None = None  # the last webhook about it
    idle_looks: int = 0  # looks in a row that brought nothing new
    faults: int = 0  # looks in a row that failed
    failed_at: datetime | None = None  # when the last of these failed
    wait_s: float | None = None  # what the provider told us to wait with that
    has_begun: bool = False
    urgent: bool = False  # its end was asked for, and has to be seen


def next_look(known: Known, *, is_training: bool, has_webhooks: bool, pace: Pace, spread: float) -> datetime:
    """When an order is due to be looked at.

    Args:
        known: of the order.
        is_training: it prints a log that people watch; otherwise only its end matters.
        has_webhooks: the provider can call us.
        pace: how often.
        spread: 0 to 1, at random, so that many orders do not come together.
    """
    if known.faults:
        return (known.failed_at or known.sent_at) + after_fault(known.faults, known.wait_s, pace=pace, spread=spread)
    last = known.looked_at or known.sent_at
    if known.urgent:
        return last + timedelta(seconds=pace.first_s * (0.5 + spread / 2))
    if has_webhooks and not is_training:
        quiet_since = max(last, known.heard_at or last)
        wait_s = min(pace.overdue_s * pace.growth**known.idle_looks, 10 * pace.overdue_s)
        return quiet_since + timedelta(seconds=wait_s * (1 + 0.2 * spread))
    cap_s = pace.quick_s if known.has_begun else pace.calm_s
    wait_s = min(pace.first_s * pace.growth ** min(known.idle_looks, 50), cap_s)
    due = last + timedelta(seconds=wait_s * (1 - 0.2 * spread))
    if known.heard_at is not None:
        trusted = known.heard_at + timedelta(seconds=pace.trust_s)
        due = min(max(due, trusted), last + timedelta(seconds=pace.safety_s))
    return due


def after_fault(faults: int, wait_s: float | None, *, pace: Pace, spread: float) -> timedelta:
    """How long to wait after so many faults in a row: what the provider asks for, else 1, 2, 4, … with jitter."""
    own_s = min(pace.retry_s * 2 ** min(faults - 1, 20), pace.retry_cap_s) * (0.5 + spread / 2)
    # what many were told to wait for must not end for all of them at once
    return timedelta(seconds=own_s if wait_s is None else wait_s * (1 + 0.1 * spread) + 0.1 * own_s)
