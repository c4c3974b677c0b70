"""Who is told that a webhook was disabled. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from thornback.errors import InvalidInput
from thornback.jobs.subscriptions import NewMessage, Target, Told, Webhook, check_mail_address
from thornback.notify.envelope import notice, random_event_id


def notices_of(
    gone: Webhook, reason: str, webhooks: Iterable[Webhook], at: datetime, *, has_mail: bool
) -> list[NewMessage]:
    """To the owner's other webhooks that want to know, and by e-mail to the contact or to an owner with such a name."""
    id = random_event_id()
    others = [
        webhook
        for webhook in webhooks
        if webhook.id != gone.id
        and webhook.user == gone.user
        and webhook.is_enabled
        and Told.DISABLED in webhook.events
    ]
    found = [notice(webhook, about=gone, reason=reason, event_id=id, at=at) for webhook in others]
    address = _mail_of(gone) if has_mail else None
    if address is not None and not any(_reaches(webhook, address) for webhook in others):
        found.append(notice(gone, about=gone, reason=reason, event_id=id, at=at, address=address))
    return found


def _mail_of(webhook: Webhook) -> str | None:
    if webhook.contact:
        return webhook.contact
    try:
        return check_mail_address(webhook.user, field="user")
    except InvalidInput:
        return None


def _reaches(webhook: Webhook, address: str) -> bool:
    return webhook.target is Target.EMAIL and webhook.address == address
