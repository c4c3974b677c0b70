"""The headers of Standard Webhooks 1.0: a fresh time and signature for each attempt, one id for all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from standardwebhooks.webhooks import Webhook as Signer

from thornback.jobs.subscriptions import Webhook


def signed(webhook: Webhook, event_id: str, body: str, now: datetime) -> Mapping[str, str]:
    """The headers of one attempt; while a secret is replaced, both sign, and receivers take either.

    Args:
        webhook: its secrets; without one nothing is signed.
        event_id: of the message.
        body: exactly as it is sent.
        now: aware, in UTC.
    """
    signatures = [Signer(secret).sign(event_id, now, body) for secret in _secrets(webhook, now)]
    headers = {"webhook-id": event_id, "webhook-timestamp": str(int(now.timestamp()))}
    return {**headers, "webhook-signature": " ".join(signatures)} if signatures else headers


def _secrets(webhook: Webhook, now: datetime) -> list[str]:
    found = [webhook.secret] if webhook.secret else []
    if webhook.old_secret and webhook.old_secret_until is not None and now < webhook.old_secret_until:
        found.append(webhook.old_secret)
    return found
