"""What webhooks out look like on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from serve_apps.api.schemas import Wire
from thornback.jobs.status import JobStatus
from thornback.jobs.subscriptions import BY_DEFAULT, MessageState, Target, Told

MAX_ADDRESS = 2048
_Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=255)]], Field(max_length=100)]
_Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_ADDRESS,
        description="An URL, or for `email` an e-mail address.",
        examples=["https://example.org/hooks/thornback"],
    ),
]
_Events = Annotated[list[Told], Field(min_length=1, max_length=len(Told), description="What is told.")]
_Contact = Annotated[
    str | None, Field(max_length=254, description="An e-mail address that is told should this be disabled.")
]
_Description = Annotated[str, Field(max_length=255)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class FilterBody(_In):
    """Of which jobs: of those in every list that is not empty, and with all of the tags."""

    kinds: _Words = []
    backends: _Words = []
    statuses: list[JobStatus] = []
    users: _Words = []
    teams: _Words = []
    jobs: _Words = []
    tags: Annotated[dict[str, str], Field(max_length=32)] = {}


class WebhookIn(_In):
    """A webhook to be made."""

    target: Target = Target.WEBHOOK
    address: _Address
    events: _Events = list(BY_DEFAULT)
    filter: FilterBody = FilterBody()
    description: _Description = ""
    contact: _Contact = None


class WebhookPatch(_In):
    """What is left out stays."""

    address: _Address | None = None
    events: _Events | None = None
    filter: FilterBody | None = None
    description: _Description | None = None
    contact: _Contact = Field(default=None, description="An empty one takes it away.")
    is_enabled: bool | None = None


class WebhookOut(Wire):
    """A webhook without its secret."""

    id: str
    user: str
    target: Target
    address: str = Field(description="Of Slack only what holds no secret.")
    events: list[Told]
    filter: FilterBody
    description: str
    contact: str | None
    is_enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None = Field(description="Null where a person did it.")
    created_at: datetime
    failing_since: datetime | None = Field(description="Null where the last attempt was taken, or there was none.")
    failures: int = Field(description="Since then.")
    held_until: datetime | None = Field(description="The receiver asked by Retry-After to be left alone until then.")
    last_ok_at: datetime | None
    old_secret_until: datetime | None = Field(description="Until then the secret before this one signs as well.")


class NewWebhook(WebhookOut):
    """With the secret that signs, which is shown this once."""

    secret: str | None = Field(description="whsec_…; null for Slack and e-mail, which are not signed.")


class WebhookList(Wire):
    """Your own, the oldest first; an admin sees all."""

    webhooks: list[WebhookOut]


class RotateIn(_In):
    """How long both secrets sign."""

    keep_old_hours: Annotated[float, Field(ge=0, le=168)] = 24.0


class SecretOut(Wire):
    """The new secret, which is shown this once."""

    secret: str
    old_secret_until: datetime


class TryOut(Wire):
    """One attempt."""

    at: datetime
    status: int | None = Field(description="Of the answer; null: there was none.")
    problem: str | None = Field(description="Null: it was taken.")
    ms: float


class MessageOut(Wire):
    """Something that was told, or is to be."""

    id: int
    event_id: str = Field(description="The header webhook-id, the same over all attempts.")
    type: Told
    job_id: str | None
    state: MessageState = Field(description="`dead`: given up; it can be replayed.")
    created_at: datetime
    due_at: datetime | None = Field(description="Of the next attempt.")
    ended_at: datetime | None
    attempts: int
    tries: list[TryOut] = Field(description="The newest 30.")


class MessageDetail(MessageOut):
    """With what is sent."""

    body: dict[str, Any]


class MessageList(Wire):
    """A page, the newest first."""

    messages: list[MessageOut]
    counts: dict[MessageState, int] = Field(description="Of all messages of this webhook.")
    next_cursor: str | None


class ReplayIn(_In):
    """Which messages to send again."""

    since: AwareDatetime = Field(description="Those that were made from then on.")
    delivered_too: bool = Field(default=False, description="Also those that were taken, not only the dead letters.")


class ReplayOut(Wire):
    """They are sent within a moment."""

    replayed: int


class SentOut(Wire):
    """A message that is on its way."""

    message: MessageOut
