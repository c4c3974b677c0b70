"""Who wants to be told of what: webhooks as they are kept, and the changes that can be made to them. Pure."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from thornback.by_name import ByName
from thornback.errors import InvalidInput
from thornback.jobs.events import EventKind
from thornback.jobs.status import JobStatus

SECRET_BYTES = 32  # Standard Webhooks asks for 24 to 64
KEEP_OLD_SECRET = timedelta(hours=24)  # how long both sign after a rotation

_MAIL = re.compile(r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$")


class Target(StrEnum):
    """What receives."""

    WEBHOOK = "webhook"  # any address, signed as Standard Webhooks are
    SLACK = "slack"  # an incoming webhook of Slack, Mattermost, Rocket.Chat, Discord (…/slack)
    EMAIL = "email"


class Told(StrEnum):
    """What can be told: the `type` of a message."""

    CREATED = "job.created"
    STARTED = "job.started"
    PROGRESS = "job.progress"
    ARTIFACT = "job.artifact"
    RETRIED = "job.retried"
    WAITING = "job.waiting"  # for a person's approval
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    ALERT = "alert"
    DISABLED = "webhook.disabled"
    TEST = "webhook.test"

    @property
    def is_best_effort(self) -> bool:
        """True for what is throttled and never sent again: the next one says more."""
        return self is Told.PROGRESS


# What ends a job, and what somebody has to look at.
BY_DEFAULT = (Told.WAITING, Told.COMPLETED, Told.FAILED, Told.CANCELLED, Told.ALERT, Told.DISABLED)

TOLD_OF: Mapping[EventKind, Told] = {
    EventKind.CREATED: Told.CREATED,
    EventKind.STARTED: Told.STARTED,
    EventKind.STAGE: Told.PROGRESS,
    EventKind.PROGRESS: Told.PROGRESS,
    EventKind.METRICS: Told.PROGRESS,
    EventKind.ITEM: Told.PROGRESS,
    EventKind.ARTIFACT: Told.ARTIFACT,
    EventKind.RETRIED: Told.RETRIED,
    EventKind.PARKED: Told.WAITING,
    EventKind.SUCCEEDED: Told.COMPLETED,
    EventKind.FAILED: Told.FAILED,
    EventKind.CANCELLED: Told.CANCELLED,
    EventKind.ALERT: Told.ALERT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter(ByName):
    """Of which jobs to tell: of those that are in every list that is not empty, and that have all of the tags."""

    kinds: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    statuses: tuple[JobStatus, ...] = ()
    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(ByName):
    """A subscription with its target."""

    id: str
    user: str
    target: Target
    address: str = field(repr=False)  # a URL, which may hold a secret, or an e-mail address
    events: tuple[Told, ...]
    filter: JobFilter
    description: str = ""
    contact: str | None = None  # an e-mail address that is told when this is disabled
    secret: str | None = field(default=None, repr=False)  # whsec_…, of Target.WEBHOOK; as it is kept: sealed
    old_secret: str | None = field(default=None, repr=False)  # signs too …
    old_secret_until: datetime | None = None  # … until then
    is_enabled: bool = True
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    from_event: int = 0  # what happened up to this event is not told
    created_at: datetime
    failing_since: datetime | None = None  # None: the last attempt was taken, or there was none
    failures: int = 0  # since then
    held_until: datetime | None = None  # the receiver has asked for this pause
    last_ok_at: datetime | None = None


class MessageState(StrEnum):
    """Where a message stands."""

    WAITING = "waiting"  # for its next attempt
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; it can be replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Try(ByName):
    """One attempt."""

    at: datetime
    status: int | None  # of the answer; None: there was none
    problem: str | None  # None: it was taken
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to be told to one webhook; `event_id` and `body` stay the same over all attempts."""

    id: int
    webhook_id: str
    event_id: str
    told: Told
    job_id: str | None
    state: MessageState
    created_at: datetime
    due_at: datetime | None  # of the next attempt
    ended_at: datetime | None
    attempts: int
    failures: int  # of this round; a replay begins another
    body: str
    address: str | None = None  # an e-mail address instead of the webhook's own target
    tries: tuple[Try, ...] = ()  # the newest ones


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage(ByName):
    """A message to be kept; (webhook, event_id) is unique, so that a repeat does nothing."""

    webhook_id: str
    event_id: str
    told: Told
    job_id: str | None
    at: datetime
    body: str
    address: str | None = None


def new_webhook_id() -> str:
    """An id that nobody has yet."""
    return f"wh_{secrets.token_hex(12)}"


def new_secret() -> str:
    """A secret as Standard Webhooks writes it: whsec_ and base64 of 32 random bytes."""
    return f"whsec_{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def check_mail_address(text: str, *, field: str) -> str:
    """An e-mail address without a display name. Raises InvalidInput that names the field."""
    text = text.strip()
    if len(text) > 254 or not _MAIL.fullmatch(text):
        raise InvalidInput.field(field, f"{text[:80]!r} is no e-mail address; give one like ada@example.org")
    return text
