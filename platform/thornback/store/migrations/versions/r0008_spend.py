"""The ledger, quotas, and what jobs have stored.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)
_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_uuid = sa.Uuid(as_uuid=False)
_IN_CHUNK = 500


def upgrade() -> None:
    """Make the tables, and book what is known of the jobs that are there."""
    op.create_table(
        "ledger",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("booked_at", _time, nullable=False),
        sa.Column("job_id", _uuid, nullable=False),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("team", sa.String(100)),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("backend", sa.String(50), nullable=False),
        sa.Column("entry", sa.String(20), nullable=False),
        sa.Column("micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("gpu_ms", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ledger_user", "ledger", ["user", "booked_at"])
    op.create_index("ix_ledger_team", "ledger", ["team", "booked_at"])
    op.create_index("ix_ledger_job_id", "ledger", ["job_id", "id"])
    op.create_index("ix_ledger_booked_at", "ledger", ["booked_at"])
    op.create_table(
        "quotas",
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("set_at", _time, nullable=False),
        sa.Column("set_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_quotas"),
    )
    op.create_table(
        "job_storage",
        sa.Column("job_id", _uuid, nullable=False),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("team", sa.String(100)),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_storage"),
    )
    op.create_index("ix_job_storage_user", "job_storage", ["user"])
    op.create_index("ix_job_storage_team", "job_storage", ["team"])
    _book_past_costs(op.get_bind())
    _add_up_past_files(op.get_bind())


def downgrade() -> None:
    """Remove them. Export the ledger before."""
    for table in ("job_storage", "quotas", "ledger"):
        op.drop_table(table)


def _book_past_costs(connection: sa.Connection) -> None:
    """What providers have told, in millionths."""
    connection.execute(
        sa.text(
            """
            INSERT INTO ledger (at, booked_at, job_id, "user", team, kind, backend, entry, micro_usd, gpu_ms, basis)
            SELECT COALESCE(completed_at, created_at), created_at, id, "user", team, kind, backend, 'charged',
                   CAST(ROUND(cost_usd * 1000000) AS BIGINT), 0, 'as the provider told before there was a ledger'
            FROM training_jobs
            WHERE cost_usd IS NOT NULL AND cost_usd <> 0 AND status IN ('completed', 'failed', 'cancelled')
            """
        )
    )


def _add_up_past_files(connection: sa.Connection) -> None:
    jobs = sa.table(
        "training_jobs",
        sa.column("id", _uuid),
        sa.column("user"),
        sa.column("team"),
        sa.column("state", sa.JSON()),
    )
    items = sa.table("job_items", sa.column("job_id", _uuid), sa.column("status"), sa.column("size_bytes"))
    kept = sa.table(
        "job_storage", sa.column("job_id", _uuid), sa.column("user"), sa.column("team"), sa.column("size_bytes")
    )
    sizes = sa.select(items.c.job_id, sa.func.sum(items.c.size_bytes).label("size"))
    stored = {
        row.job_id: int(row.size or 0)
        for row in connection.execute(sizes.where(items.c.status == "stored").group_by(items.c.job_id))
    }
    rows: list[dict[str, Any]] = []
    for row in connection.execute(sa.select(jobs)).all():
        artifacts = (row.state or {}).get("artifacts") or []  # name, type, uri, size, …
        size = stored.get(row.id, 0) + sum(int(item[3] or 0) for item in artifacts)
        if size:
            rows.append({"job_id": row.id, "user": row.user, "team": row.team, "size_bytes": size})
    for start in range(0, len(rows), _IN_CHUNK):
        connection.execute(sa.insert(kept), rows[start : start + _IN_CHUNK])
