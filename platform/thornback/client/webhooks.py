"""Webhooks out, as `client.webhooks`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_WEBHOOKS = "/api/v1/webhooks"
_PAGE = 200


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a newer server may say more


class Webhook(_Answer):
    """Who is told of what, without the secret."""

    id: str
    user: str
    target: str  # webhook, slack, email
    address: str
    events: list[str]
    filter: dict[str, Any] = {}
    description: str = ""
    contact: str | None = None
    is_enabled: bool
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    created_at: datetime
    failing_since: datetime | None = None
    failures: int = 0
    held_until: datetime | None = None
    last_ok_at: datetime | None = None
    old_secret_until: datetime | None = None


class NewWebhook(Webhook):
    """With the secret that signs, which is shown this once."""

    secret: str | None = Field(default=None, repr=False)


class WebhookSecret(_Answer):
    """A new secret; until then the old one signs as well."""

    secret: str = Field(repr=False)
    old_secret_until: datetime


class MessageTry(_Answer):
    """One attempt."""

    at: datetime
    status: int | None = None
    problem: str | None = None
    ms: float


class WebhookMessage(_Answer):
    """Something that was told, or is to be."""

    id: int
    event_id: str
    type: str
    job_id: str | None = None
    state: str  # waiting, delivered, dead
    created_at: datetime
    due_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int
    tries: list[MessageTry] = []
    body: dict[str, Any] | None = None  # None in lists


class Webhooks:
    """Your own; an admin's calls reach those of everybody."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def list(self) -> Iterator[Webhook]:
        """The oldest first."""
        return (Webhook.model_validate(one) for one in self._call("GET", _WEBHOOKS)["webhooks"])

    def get(self, webhook_id: str) -> Webhook:
        """Raises NotFound."""
        return Webhook.model_validate(self._call("GET", f"{_WEBHOOKS}/{webhook_id}"))

    def add(
        self,
        address: str,
        *,
        target: str = "webhook",
        events: Iterable[str] | None = None,
        filter: Mapping[str, Any] | None = None,
        description: str = "",
        contact: str | None = None,
    ) -> NewWebhook:
        """Be told of what happens from now on; the answer holds the secret, which is shown this once.

        Args:
            address: a URL, or for e-mail an address.
            target: webhook, slack or email.
            events: e.g. job.completed, job.progress, alert; None: ends of jobs, alerts, disabled webhooks.
            filter: lists `kinds`, `backends`, `statuses`, `users`, `teams`, `jobs`, and `tags`.
            description: for people.
            contact: an e-mail address that is told should this be disabled.

        Raises:
            AddressRefused: it may not be reached.
            InvalidInput: `details["errors"]` names each field.
        """
        body: dict[str, Any] = {"target": target, "address": address, "description": description, "contact": contact}
        if events is not None:
            body["events"] = [*events]
        if filter is not None:
            body["filter"] = dict(filter)
        return NewWebhook.model_validate(self._call("POST", _WEBHOOKS, json=body))

    def change(self, webhook_id: str, **fields: Any) -> Webhook:
        """Change address, events, filter, description, contact or is_enabled. Raises NotFound, InvalidInput."""
        return Webhook.model_validate(self._call("PATCH", f"{_WEBHOOKS}/{webhook_id}", json=fields))

    def remove(self, webhook_id: str) -> None:
        """With the log of what it was told. Raises NotFound."""
        self._call("DELETE", f"{_WEBHOOKS}/{webhook_id}")

    def test(self, webhook_id: str) -> WebhookMessage:
        """Send a test; ask with `message` what came of it. Raises NotFound, Conflict for a disabled one."""
        return _message(self._call("POST", f"{_WEBHOOKS}/{webhook_id}/test")["message"])

    def rotate(self, webhook_id: str, *, keep_old_hours: float = 24.0) -> WebhookSecret:
        """Replace the secret; both sign for a while. Raises NotFound, InvalidInput for one that is not signed."""
        body = {"keep_old_hours": keep_old_hours}
        return WebhookSecret.model_validate(self._call("POST", f"{_WEBHOOKS}/{webhook_id}/rotate", json=body))

    def messages(
        self, webhook_id: str, *, state: str | None = None, limit: int | None = None
    ) -> Iterator[WebhookMessage]:
        """What it was told, the newest first; `state` is waiting, delivered or dead. Raises NotFound."""
        params: dict[str, Any] = {} if state is None else {"state": state}
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._call("GET", f"{_WEBHOOKS}/{webhook_id}/messages", params={**params, "limit": size})
            yield from map(_message, page["messages"])
            left = None if left is None else left - len(page["messages"])
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]

    def message(self, webhook_id: str, message_id: int) -> WebhookMessage:
        """One with its body. Raises NotFound."""
        return _message(self._call("GET", f"{_WEBHOOKS}/{webhook_id}/messages/{message_id}"))

    def replay(self, webhook_id: str, message_id: int) -> WebhookMessage:
        """Send one again. Raises NotFound, Conflict where it waits or the webhook is disabled."""
        return _message(self._call("POST", f"{_WEBHOOKS}/{webhook_id}/messages/{message_id}/replay")["message"])

    def replay_since(self, webhook_id: str, since: datetime, *, delivered_too: bool = False) -> int:
        """Send the dead letters since a time again, or with `delivered_too` everything; how many these are."""
        body = {"since": since.isoformat(), "delivered_too": delivered_too}
        answer = self._call("POST", f"{_WEBHOOKS}/{webhook_id}/replay", json=body)
        return int(answer["replayed"])


def _message(value: Any) -> WebhookMessage:
    return WebhookMessage.model_validate(value)
