"""Webhooks out <-> the wire."""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson

from serve_apps.api.webhook_schemas import FilterBody, MessageDetail, MessageOut, TryOut, WebhookOut
from thornback.errors import InvalidInput
from thornback.jobs.subscriptions import JobFilter, Message, Target, Webhook, check_mail_address
from thornback.net.rules import AddressRules
from thornback.settings import Settings


def read_filter(body: FilterBody) -> JobFilter:
    """As it is kept."""
    return JobFilter(
        kinds=tuple(body.kinds),
        backends=tuple(body.backends),
        statuses=tuple(body.statuses),
        users=tuple(body.users),
        teams=tuple(body.teams),
        jobs=tuple(body.jobs),
        tags=body.tags,
    )


def check_address(target: Target, address: str, settings: Settings) -> str:
    """An address that may be sent to; the name is looked up when it is. Raises InvalidInput, AddressRefused."""
    if target is not Target.EMAIL:
        return str(AddressRules.of(settings).check_url(address.strip()))
    if settings.smtp_host is None:
        raise InvalidInput.field("target", "no mail can be sent from here; set THORNBACK_SMTP_HOST")
    return check_mail_address(address, field="address")


def check_contact(contact: str | None) -> str | None:
    """An empty one stays empty. Raises InvalidInput."""
    return check_mail_address(contact, field="contact") if contact else contact


def webhook(found: Webhook) -> WebhookOut:
    """Without secrets."""
    return WebhookOut(**_fields(found))


def _fields(found: Webhook) -> dict[str, object]:
    kept = found.filter
    return {
        "id": found.id,
        "user": found.user,
        "target": found.target,
        "address": _shown(found),
        "events": list(found.events),
        "filter": FilterBody(
            kinds=list(kept.kinds),
            backends=list(kept.backends),
            statuses=list(kept.statuses),
            users=list(kept.users),
            teams=list(kept.teams),
            jobs=list(kept.jobs),
            tags=dict(kept.tags),
        ),
        "description": found.description,
        "contact": found.contact,
        "is_enabled": found.is_enabled,
        "disabled_at": found.disabled_at,
        "disabled_reason": found.disabled_reason,
        "created_at": found.created_at,
        "failing_since": found.failing_since,
        "failures": found.failures,
        "held_until": found.held_until,
        "last_ok_at": found.last_ok_at,
        "old_secret_until": found.old_secret_until,
    }


def message(found: Message) -> MessageOut:
    """Without its body."""
    return MessageOut(**_of_message(found))


def message_detail(found: Message) -> MessageDetail:
    """With its body."""
    return MessageDetail(**_of_message(found), body=orjson.loads(found.body))


def _of_message(found: Message) -> dict[str, object]:
    return {
        "id": found.id,
        "event_id": found.event_id,
        "type": found.told,
        "job_id": found.job_id,
        "state": found.state,
        "created_at": found.created_at,
        "due_at": found.due_at,
        "ended_at": found.ended_at,
        "attempts": found.attempts,
        "tries": [TryOut(at=one.at, status=one.status, problem=one.problem, ms=one.ms) for one in found.tries],
    }


def _shown(found: Webhook) -> str:
    """Whoever has the address of an incoming webhook of Slack can post there."""
    if found.target is not Target.SLACK:
        return found.address
    parts = urlsplit(found.address)
    return f"{parts.scheme}://{parts.netloc}/…{found.address[-4:]}"
