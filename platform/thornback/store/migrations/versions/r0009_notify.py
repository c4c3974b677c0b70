"""Webhooks out: who wants to be told of what, and what is on its way to them.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)
_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("target", sa.String(20), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("filter", sa.JSON(), nullable=False),
        sa.Column("description", sa.String(255), nullable=False),
        sa.Column("contact", sa.String(254)),
        sa.Column("secret", sa.String(128)),
        sa.Column("old_secret", sa.String(128)),
        sa.Column("old_secret_until", _time),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_at", _time),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("from_event", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("failing_since", _time),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("held_until", _time),
        sa.Column("last_ok_at", _time),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index("ix_webhooks_user", "webhooks", ["user", "created_at"])
    _create_messages()


def downgrade() -> None:
    """Remove them; how far the log was read is forgotten with them."""
    op.drop_table("webhook_messages")
    op.drop_table("webhooks")
    op.execute("DELETE FROM platform_settings WHERE name = 'notify_cursor'")


def _create_messages() -> None:
    op.create_table(
        "webhook_messages",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("webhook_id", sa.String(32), nullable=False),
        sa.Column("event_id", sa.String(100), nullable=False),
        sa.Column("told", sa.String(50), nullable=False),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("due_at", _time),
        sa.Column("ended_at", _time),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("address", sa.String(254)),
        sa.Column("tries", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_messages"),
        sa.UniqueConstraint("webhook_id", "event_id", name="uq_webhook_messages_webhook_id_event_id"),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], ondelete="CASCADE", name="fk_webhook_messages_webhook_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_messages_due", "webhook_messages", ["state", "webhook_id", "due_at"])
    op.create_index("ix_webhook_messages_webhook", "webhook_messages", ["webhook_id", "id"])
    op.create_index("ix_webhook_messages_ended_at", "webhook_messages", ["ended_at"])
