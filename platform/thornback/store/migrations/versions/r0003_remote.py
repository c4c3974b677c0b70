"""Work at providers: what a training there was given and took, the orders of each job, the inbox of webhooks.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_json = sa.JSON()
_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_time = sa.DateTime(timezone=True)

_JOB_COLUMNS: Mapping[str, sa.types.TypeEngine[Any]] = {
    "input_images_url": sa.Text(),
    "trigger_word": sa.String(255),
    "captioning": sa.String(50),
    "training_steps": sa.Integer(),
    "predict_time": sa.Double(),
    "total_time": sa.Double(),
    "provider": sa.String(50),
    "provider_id": sa.String(255),
    "trainer": sa.String(200),
    "cost_estimate_usd": sa.Double(),
    "cost_usd": sa.Double(),
}


def upgrade() -> None:
    """Add to the jobs, whose rows stay as they are, and make the new tables."""
    for name, kind in _JOB_COLUMNS.items():
        op.add_column("training_jobs", sa.Column(name, kind))
    op.create_index("ix_training_jobs_trigger_word", "training_jobs", ["trigger_word"])
    op.create_index("ix_training_jobs_completed_at", "training_jobs", [sa.text("completed_at DESC")])
    op.create_index("ix_training_jobs_trainer", "training_jobs", ["provider", "trainer", "completed_at"])
    _create_items()
    _create_orders()
    _create_deliveries()


def downgrade() -> None:
    """Remove all of it. The orders stay in the stream of events; deliveries are lost."""
    for table in ("webhook_deliveries", "provider_orders", "job_items"):
        op.drop_table(table)
    for index in ("trainer", "completed_at", "trigger_word"):
        op.drop_index(f"ix_training_jobs_{index}", "training_jobs")
    with op.batch_alter_table("training_jobs") as jobs:
        for name in _JOB_COLUMNS:
            jobs.drop_column(name)


def _create_items() -> None:
    op.create_table(
        "job_items",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("order_number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("provider_id", sa.String(255)),
        sa.Column("intended_at", _time),
        sa.Column("sent_at", _time),
        sa.Column("ended_at", _time),
        sa.Column("webhook_at", _time),
        sa.Column("via", sa.String(20)),
        sa.Column("error", sa.Text()),
        sa.Column("outputs", _json, nullable=False),
        sa.Column("uri", sa.Text()),
        sa.Column("content_type", sa.String(255)),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("sha256", sa.String(64)),
        sa.PrimaryKeyConstraint("job_id", "item", name="pk_job_items"),
        sa.ForeignKeyConstraint(["job_id"], ["training_jobs.id"], ondelete="CASCADE", name="fk_job_items_job_id"),
    )


def _create_orders() -> None:
    op.create_table(
        "provider_orders",
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("provider_id", sa.String(255), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("order_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "provider_id", "job_id", "item", "order_number", name="pk_provider_orders"),
        sa.ForeignKeyConstraint(["job_id"], ["training_jobs.id"], ondelete="CASCADE", name="fk_provider_orders_job_id"),
    )
    op.create_index("ix_provider_orders_job_id", "provider_orders", ["job_id"])


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("provider", sa.String(50), nullable=False),
        sa.Column("delivery_id", sa.String(255), nullable=False),
        sa.Column("received_at", _time, nullable=False),
        sa.Column("provider_id", sa.String(255)),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("item", sa.Integer()),
        sa.Column("status", sa.String(50)),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text()),
        sa.Column("state", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.UniqueConstraint("provider", "delivery_id", name="uq_webhook_deliveries_provider_delivery_id"),
        sqlite_autoincrement=True,
    )
    indexes = {
        "provider_id": ["provider_id", "provider", "id"],
        "job_id": ["job_id", "id"],
        "state": ["state", "id"],
        "received_at": ["state", "received_at"],
    }
    for name, columns in indexes.items():
        op.create_index(f"ix_webhook_deliveries_{name}", "webhook_deliveries", columns)
