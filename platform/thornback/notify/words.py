"""A message in words, for people: the text of e-mail and Slack. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thornback.jobs.subscriptions import Told

_ENDS = {
    Told.CREATED: "is in the queue",
    Told.STARTED: "has started",
    Told.RETRIED: "begins again",
    Told.COMPLETED: "has completed",
    Told.FAILED: "has failed",
    Told.CANCELLED: "was cancelled",
}


def headline(envelope: Mapping[str, Any]) -> str:
    """One line."""
    told, data = Told(envelope["type"]), envelope["data"]
    name = _one_line(data.get("job", {}).get("name", ""))
    match told:
        case Told.PROGRESS:
            return f"{name}: {data['job']['progress_percent']:g} %"
        case Told.ARTIFACT:
            return f"{name} has made {_one_line(data['event']['name'])}"
        case Told.ALERT:
            return f"Alert “{_one_line(data['event']['rule'])}”: {_one_line(data['event']['message'])}"
        case Told.DISABLED:
            return f"Webhook {_one_line(data['webhook']['description']) or data['webhook']['id']} was disabled"
        case Told.TEST:
            return "A test of a webhook"
        case _:
            return f"{name} {_ENDS[told]}"


def details(envelope: Mapping[str, Any]) -> list[str]:
    """More lines."""
    data = envelope["data"]
    job, event = data.get("job", {}), data.get("event", {})
    lines = [
        ("why", event.get("message") or job.get("error_message") or data.get("reason")),
        ("job", job.get("id")),
        ("kind", f"{job['kind']} on {job['backend']}" if job else None),
        ("user", job.get("user") or data.get("webhook", {}).get("user")),
        ("address", job.get("url")),
        ("event", envelope["id"]),
    ]
    return [f"{name}: {value}" for name, value in lines if value]


def _one_line(text: str) -> str:
    return " ".join(text.split())
