"""Tables of what is told to others: webhooks, and what was or is to be sent to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from thornback.store.columns import BigId, Uuid
from thornback.store.table import Table, json, text, time


class WebhookRow(Table, table=True):
    """A subscription with its target, see `jobs.subscriptions.Webhook`."""

    __tablename__: ClassVar[str] = "webhooks"
    __table_args__ = (sa.Index("ix_webhooks_user", "user", "created_at"),)

    id: str = Field(sa_column=sa.Column(sa.String(32), primary_key=True))
    user: str = text(255, nullable=False)  # no foreign key: without access control there are no users
    target: str = text(20, nullable=False)
    address: str = text(nullable=False)
    events: list[str] = json()
    filter: dict[str, Any] = json()
    description: str = text(255, nullable=False)
    contact: str | None = text(254)
    secret: str | None = text(512)  # encrypted, see access.sealing
    old_secret: str | None = text(512)
    old_secret_until: datetime | None = time()
    is_enabled: bool = True
    disabled_at: datetime | None = time()
    disabled_reason: str | None = text()
    from_event: int = Field(sa_type=sa.BigInteger())
    created_at: datetime = time(nullable=False)
    failing_since: datetime | None = time()
    failures: int = 0
    held_until: datetime | None = time()
    last_ok_at: datetime | None = time()


class WebhookMessageRow(Table, table=True):
    """The outbox, see `jobs.subscriptions.Message`."""

    __tablename__: ClassVar[str] = "webhook_messages"
    __table_args__ = (
        sa.UniqueConstraint("webhook_id", "event_id"),
        sa.Index("ix_webhook_messages_due", "state", "webhook_id", "due_at"),
        sa.Index("ix_webhook_messages_webhook", "webhook_id", "id"),
        sa.Index("ix_webhook_messages_ended_at", "ended_at"),
        {"sqlite_autoincrement": True},  # the number of a forgotten message is not given again
    )

    id: int | None = Field(default=None, sa_column=sa.Column(BigId, primary_key=True))
    webhook_id: str = Field(
        sa_column=sa.Column(sa.String(32), sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False)
    )
    event_id: str = text(100, nullable=False)
    told: str = text(50, nullable=False)
    job_id: str | None = Field(default=None, sa_type=Uuid, nullable=True)  # no foreign key: it outlives the job
    state: str = text(20, nullable=False)
    created_at: datetime = time(nullable=False)
    due_at: datetime | None = time()
    ended_at: datetime | None = time()
    attempts: int = 0
    failures: int = 0
    body: str = text(nullable=False)
    address: str | None = text(254)
    tries: list[dict[str, Any]] = json()
