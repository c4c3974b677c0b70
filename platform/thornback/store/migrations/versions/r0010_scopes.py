"""Scopes of API keys, the end of limits that admins have given, and room for encrypted secrets.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)
_SECRETS = ("secret", "old_secret")


def upgrade() -> None:
    """Keys and limits that are there stay as they are: for everything, and without an end."""
    op.add_column("api_keys", sa.Column("scopes", sa.JSON()))
    op.add_column("quotas", sa.Column("ends_at", _time))
    with op.batch_alter_table("webhooks") as changed:
        for name in _SECRETS:
            changed.alter_column(name, type_=sa.String(512), existing_type=sa.String(128), existing_nullable=True)


def downgrade() -> None:
    """Remove them; secrets that are encrypted are lost: replace them afterwards."""
    op.execute(sa.text("UPDATE webhooks SET old_secret = NULL WHERE length(old_secret) > 128"))
    op.execute(sa.text("UPDATE webhooks SET secret = NULL WHERE length(secret) > 128"))
    with op.batch_alter_table("webhooks") as changed:
        for name in _SECRETS:
            changed.alter_column(name, type_=sa.String(128), existing_type=sa.String(512), existing_nullable=True)
    for table, name in (("quotas", "ends_at"), ("api_keys", "scopes")):
        with op.batch_alter_table(table) as changed:
            changed.drop_column(name)
