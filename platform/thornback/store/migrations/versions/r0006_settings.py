"""What people set while the platform runs.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "platform_settings",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_platform_settings"),
    )


def downgrade() -> None:
    """Remove it: the queue goes on."""
    op.drop_table("platform_settings")
