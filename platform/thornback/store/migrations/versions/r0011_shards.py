"""Several writers side by side: who they are, and the numbers that they give to events.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; it stays empty for as long as there is one writer. Only PostgreSQL has the sequence."""
    op.create_table(
        "recorder_shards",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_recorder_shards"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("CREATE SEQUENCE job_event_ids"))


def downgrade() -> None:
    """Remove both; no recorder of several shards may run then."""
    op.drop_table("recorder_shards")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("DROP SEQUENCE job_event_ids"))
