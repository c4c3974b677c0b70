"""When failed jobs are worth an alert: rules over the history of failures. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thornback.settings import AlertRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A job that failed."""

    job_id: str
    job_name: str
    kind: str
    backend: str
    tags: Mapping[str, str]
    at: datetime
    reason: str | None  # a FailureReason
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule that held."""

    rule: str  # its name
    at: datetime  # of the failure that made it hold
    job_id: str  # of that failure
    job_ids: tuple[str, ...]  # all that were counted, the oldest first
    message: str


def find_alerts(rules: Iterable[AlertRule], failures: Iterable[Failure]) -> list[Alert]:
    """The alerts of a history, the oldest first.

    A rule that waits for several failures holds at the one that makes them enough, and again only after
    they had become too few; a rule of one holds at each. That depends on `history_needed` before a
    failure alone, so that the answer is the same wherever the history begins beyond that.
    """
    history = sorted(failures, key=lambda failure: (failure.at, failure.job_id))
    found = [alert for rule in rules for alert in _of_rule(rule, history)]
    return sorted(found, key=lambda alert: (alert.at, alert.job_id, alert.rule))


def history_needed(rules: Iterable[AlertRule]) -> timedelta:
    """How long before a failure all others have to be known."""
    return 2 * max((_window(rule) for rule in rules), default=timedelta())


def _of_rule(rule: AlertRule, history: Sequence[Failure]) -> Iterable[Alert]:
    mine = [failure for failure in history if _concerns(rule, failure)]
    begin = 0
    had_enough = False
    for index, failure in enumerate(mine):
        while mine[begin].at <= failure.at - _window(rule):
            begin += 1
        counted = mine[begin : index + 1]
        has_enough = len(counted) >= rule.failures
        if has_enough and (not had_enough or rule.failures == 1):
            yield _alert(rule, counted if rule.failures > 1 else [failure])
        had_enough = has_enough


def _alert(rule: AlertRule, counted: Sequence[Failure]) -> Alert:
    newest = counted[-1]
    return Alert(
        rule=rule.name,
        at=newest.at,
        job_id=newest.job_id,
        job_ids=tuple(failure.job_id for failure in counted),
        message=_sentence(rule, counted),
    )


def _concerns(rule: AlertRule, failure: Failure) -> bool:
    return (
        rule.kind in (None, failure.kind)
        and rule.backend in (None, failure.backend)
        and rule.reason in (None, failure.reason)
        and all(failure.tags.get(name) == value for name, value in rule.tags.items())
    )


def _window(rule: AlertRule) -> timedelta:
    return timedelta(minutes=rule.within_minutes)


def _sentence(rule: AlertRule, counted: Sequence[Failure]) -> str:
    newest = counted[-1]
    if rule.failures == 1:
        return f"job {newest.job_name} failed: {newest.message or newest.reason or 'no reason is known'}"
    names = ", ".join(failure.job_name for failure in counted)
    return f"{len(counted)} jobs failed within {rule.within_minutes:g} min: {names}"
