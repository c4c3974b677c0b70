"""Webhooks and their messages <-> rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from thornback.jobs.status import JobStatus
from thornback.jobs.subscriptions import JobFilter, Message, MessageState, Target, Told, Try, Webhook


def filter_cell(filter: JobFilter) -> dict[str, Any]:
    """What is not empty of it."""
    lists = {name: list(getattr(filter, name)) for name in ("kinds", "backends", "statuses", "users", "teams", "jobs")}
    return {name: value for name, value in {**lists, "tags": dict(filter.tags)}.items() if value}


def try_cell(attempt: Try) -> dict[str, Any]:
    """As JSON."""
    return {
        "at": attempt.at.isoformat(),
        "status": attempt.status,
        "problem": attempt.problem,
        "ms": round(attempt.ms, 1),
    }


def read_webhook(row: Any) -> Webhook:
    """A row of `webhooks`."""
    return Webhook(
        id=row.id,
        user=row.user,
        target=Target(row.target),
        address=row.address,
        events=tuple(Told(word) for word in row.events),
        filter=_filter(row.filter),
        description=row.description,
        contact=row.contact,
        secret=row.secret,
        old_secret=row.old_secret,
        old_secret_until=row.old_secret_until,
        is_enabled=row.is_enabled,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        from_event=row.from_event,
        created_at=row.created_at,
        failing_since=row.failing_since,
        failures=row.failures,
        held_until=row.held_until,
        last_ok_at=row.last_ok_at,
    )


def read_message(row: Any) -> Message:
    """A row of `webhook_messages`."""
    return Message(
        id=row.id,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        told=Told(row.told),
        job_id=row.job_id,
        state=MessageState(row.state),
        created_at=row.created_at,
        due_at=row.due_at,
        ended_at=row.ended_at,
        attempts=row.attempts,
        failures=row.failures,
        body=row.body,
        address=row.address,
        tries=tuple(_try(cell) for cell in row.tries),
    )


def _filter(cell: Mapping[str, Any]) -> JobFilter:
    lists = {name: tuple(cell.get(name, ())) for name in ("kinds", "backends", "users", "teams", "jobs")}
    statuses = tuple(JobStatus(word) for word in cell.get("statuses", ()))
    return JobFilter(**lists, statuses=statuses, tags=cell.get("tags", {}))


def _try(cell: Mapping[str, Any]) -> Try:
    return Try(at=datetime.fromisoformat(cell["at"]), status=cell["status"], problem=cell["problem"], ms=cell["ms"])
