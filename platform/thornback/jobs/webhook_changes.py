"""Changes of webhooks and of what waits for them; the writer carries each out in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from thornback.by_name import ByName
from thornback.jobs.subscriptions import JobFilter, MessageState, NewMessage, Told, Try, Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class AddWebhook(ByName):
    """It is told of what happens from this commit on. The same call again does nothing."""

    webhook: Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWebhook(ByName):
    """What is None stays. Raises NotFound. Enabling forgets the failures; disabling gives up what waits."""

    id: str
    at: datetime
    address: str | None = field(default=None, repr=False)
    events: tuple[Told, ...] | None = None
    filter: JobFilter | None = None
    description: str | None = None
    contact: str | None = None  # "" takes it away
    is_enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveWebhook(ByName):
    """With its messages. An unknown one is no error."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSecret(ByName):
    """The present secret goes on signing beside the new one until `old_until`. Raises NotFound."""

    id: str
    at: datetime
    secret: str = field(repr=False)
    old_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue(ByName):
    """Keep messages and how far the event log was read, together.

    Nothing is done where the log was read to another place than `after` meanwhile: then somebody else has it.
    """

    messages: tuple[NewMessage, ...]
    after: int | None = None  # None: the messages are of no event
    cursor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(ByName):
    """What became of one attempt."""

    message_id: int
    state: MessageState
    due_at: datetime | None
    failures: int
    attempt: Try


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(ByName):
    """How a webhook has answered lately."""

    webhook_id: str
    failing_since: datetime | None = None
    failures: int = 0
    held_until: datetime | None = None
    last_ok_at: datetime | None = None
    disable: str | None = None  # why it is to be told nothing more
    at: datetime | None = None  # when that was decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(ByName):
    """Keep what became of attempts; `notices` tell others of webhooks that are disabled by it."""

    settled: tuple[Settled, ...]
    standings: tuple[Standing, ...] = ()
    notices: tuple[NewMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(ByName):
    """Send messages again, under their ids, in a new round of attempts; those that wait are left alone."""

    webhook_id: str
    at: datetime
    message_id: int | None = None  # this one, or else
    since: datetime | None = None  # all that were made from then on
    dead_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneMessages(ByName):
    """Forget messages that ended before a time."""

    before: datetime


WebhookChange = AddWebhook | ChangeWebhook | RemoveWebhook | RotateSecret | Enqueue | Settle | Replay | PruneMessages
