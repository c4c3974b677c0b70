"""How a webhook has done lately, and when it is to be told nothing more. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from thornback.jobs.subscriptions import Webhook
from thornback.jobs.webhook_changes import Standing
from thornback.notify.answer import Answer, Verdict

# One failure, silence for days and another failure are no proof that nobody is there.
LEAST_FAILURES = 5

# After so many failures in a row a receiver gets one message at a time.
TROUBLED = 3


def standing_of(webhook: Webhook) -> Standing:
    """As it is kept."""
    return Standing(
        webhook_id=webhook.id,
        failing_since=webhook.failing_since,
        failures=webhook.failures,
        held_until=webhook.held_until,
    )


def after_answer(standing: Standing, answer: Answer, at: datetime, *, disable_after: timedelta) -> Standing:
    """The standing once an attempt has ended at `at`; its `disable` says why nothing more is to be sent."""
    if answer.verdict is Verdict.TAKEN:
        return Standing(webhook_id=standing.webhook_id, last_ok_at=at)
    new = replace(
        standing,
        failing_since=standing.failing_since or at,
        failures=standing.failures + 1,
        held_until=_later(standing.held_until, answer.hold_until),
    )
    if answer.verdict is Verdict.GONE:
        return replace(new, disable=answer.problem, at=at)
    since = new.failing_since
    if since is not None and at - since >= disable_after and new.failures >= LEAST_FAILURES:
        days = disable_after / timedelta(days=1)
        return replace(new, disable=f"nothing was taken for {days:g} days; the last answer: {answer.problem}", at=at)
    return new


def is_troubled(standing: Standing) -> bool:
    """True for one that has not taken anything for a while."""
    return standing.failures >= TROUBLED


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else one or other
