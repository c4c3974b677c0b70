"""What is told: the envelope, the same bytes over all attempts. Pure.

    {"id": "evt_…", "type": "job.failed", "version": 1, "created_at": "…", "data": {…}}

`id` is also the header webhook-id. Fields may be added within a version; none changes its meaning.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from thornback.jobs.events import EventKind
from thornback.jobs.state import HEADLINE_METRICS, JobState
from thornback.jobs.subscriptions import TOLD_OF, NewMessage, Told, Webhook

VERSION = 1
MAX_TEXT = 2000  # characters of an error's message; Standard Webhooks wants bodies below 20 kB
MAX_LIST = 20
MAX_NAME = 300

# What of an event is told beside the job. Addresses within the storage stay here.
_FACTS: Mapping[EventKind, tuple[str, ...]] = {
    EventKind.STARTED: ("attempt", "restart"),
    EventKind.ARTIFACT: ("name", "type", "size_bytes", "sha256"),
    EventKind.RETRIED: ("attempt", "restart", "reason", "message"),
    EventKind.PARKED: (),
    EventKind.SUCCEEDED: (),
    EventKind.FAILED: ("reason", "message"),
    EventKind.CANCELLED: ("message",),
    EventKind.ALERT: ("rule", "message", "job_ids"),
}


def event_id_of(job_id: str, event: int) -> str:
    """The id of an event's message: whoever makes it again makes the same."""
    return f"evt_{job_id.replace('-', '')}_{event}"


def random_event_id() -> str:
    """An id for what is of no job."""
    return f"evt_{secrets.token_hex(16)}"


def write_envelope(event_id: str, told: Told, data: Mapping[str, Any], at: datetime) -> str:
    """The body."""
    envelope = {"id": event_id, "type": told.value, "version": VERSION, "created_at": _time(at), "data": data}
    return orjson.dumps(envelope).decode()


def job_message(
    webhook: Webhook, job: JobState, *, event: int, kind: EventKind, data: Mapping[str, Any], at: datetime, base: str
) -> NewMessage:
    """What a webhook is told of an event; `at` is now, and `base` where the API is, "" where that is not known."""
    told = TOLD_OF[kind]
    # progress is told of a job as it stands, not of one event
    id = random_event_id() if told.is_best_effort else event_id_of(job.id, event)
    facts = {name: _short(data[name]) for name in _FACTS.get(kind, ()) if data.get(name) is not None}
    about = {"sequence": event, "job": job_facts(job, base=base), **({"event": facts} if facts else {})}
    body = write_envelope(id, told, about, at)
    return NewMessage(webhook_id=webhook.id, event_id=id, told=told, job_id=job.id, at=at, body=body)


def notice(
    webhook: Webhook, *, about: Webhook, reason: str, event_id: str, at: datetime, address: str | None = None
) -> NewMessage:
    """That `about` was disabled, to be told to `webhook`, or to an e-mail address."""
    data = {
        "webhook": {"id": about.id, "target": about.target.value, "description": about.description, "user": about.user}
    }
    body = write_envelope(event_id, Told.DISABLED, {**data, "reason": _short(reason)}, at)
    return NewMessage(
        webhook_id=webhook.id, event_id=event_id, told=Told.DISABLED, job_id=None, at=at, body=body, address=address
    )


def trial_message(webhook: Webhook, *, by: str, at: datetime) -> NewMessage:
    """Something to try a webhook with."""
    id = random_event_id()
    data = {"message": "This is a test of a webhook.", "webhook": {"id": webhook.id}, "by": by}
    body = write_envelope(id, Told.TEST, data, at)
    return NewMessage(webhook_id=webhook.id, event_id=id, told=Told.TEST, job_id=None, at=at, body=body)


def job_facts(job: JobState, *, base: str) -> dict[str, Any]:
    """A job as it stands, without its specification, which may be large and is its owner's."""
    facts: dict[str, Any] = {
        "id": job.id,
        "name": _short(job.job_name),
        "kind": job.kind,
        "backend": job.backend,
        "user": job.user,
        "team": job.team,
        "tags": {_short(name): _short(value) for name, value in (job.spec.get("tags") or {}).items()},
        "status": job.status.value,
        "stage": job.stage,
        "progress_percent": round(job.progress_percent, 2),
        "current_epoch": job.current_epoch,
        "total_epochs": job.total_epochs,
        "metrics": {name: job.metric(name) for name in HEADLINE_METRICS if job.metric(name) is not None},
        "best_val_loss": job.best_val_loss,
        "failure": job.failure.value if job.failure else None,
        "error_message": job.error_message[:MAX_TEXT] if job.error_message else None,
        "retry_of": job.retry_of,
        "created_at": job.created_at and _time(job.created_at),
        "started_at": job.started_at and _time(job.started_at),
        "completed_at": job.completed_at and _time(job.completed_at),
        "artifacts": _artifacts(job),
    }
    if base:
        facts["url"] = f"{base}/api/v1/training/jobs/{job.id}"
    return facts


def _artifacts(job: JobState) -> list[dict[str, Any]]:
    newest = sorted(job.artifacts.values(), key=lambda one: (one.at, one.name), reverse=True)[:MAX_LIST]
    return [
        {"name": _short(one.name), "type": one.type, "size_bytes": one.size_bytes, "sha256": one.sha256}
        for one in newest
    ]


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT] if len(value) > MAX_NAME else value
    return value[:MAX_LIST] if isinstance(value, list) else value


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
