"""What the audit log says of changes of webhooks out; addresses and secrets are not in it."""

from __future__ import annotations

from typing import Any

from thornback.access.audit import Act
from thornback.jobs.webhook_changes import (
    AddWebhook,
    ChangeWebhook,
    RemoveWebhook,
    Replay,
    RotateSecret,
    WebhookChange,
)

_FIELDS = ("address", "events", "filter", "description", "contact", "is_enabled")


def act_of_webhook(change: WebhookChange, by: str) -> Act | None:
    """None for what the sender does by itself."""
    match change:
        case AddWebhook(webhook=made):
            detail: dict[str, Any] = {"target": made.target.value, "events": [told.value for told in made.events]}
            return Act(actor=by, action="webhook.add", target=made.id, at=made.created_at, detail=detail)
        case ChangeWebhook(id=id, at=at):
            changed = [name for name in _FIELDS if getattr(change, name) is not None]
            return Act(actor=by, action="webhook.change", target=id, at=at, detail={"fields": changed})
        case RemoveWebhook(id=id, at=at):
            return Act(actor=by, action="webhook.remove", target=id, at=at)
        case RotateSecret(id=id, at=at):
            return Act(actor=by, action="webhook.rotate", target=id, at=at)
        case Replay(webhook_id=id, at=at):
            return Act(actor=by, action="webhook.replay", target=id, at=at, detail={"message": change.message_id})
        case _:
            return None
