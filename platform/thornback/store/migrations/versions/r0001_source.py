"""The tables of the training API's own documentation: training_jobs and training_metrics.

A database that has them already is taken over as it is.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Make what is not there."""
    present = set(sa.inspect(op.get_bind()).get_table_names())
    if "training_jobs" not in present:
        _create_jobs()
    if "training_metrics" not in present:
        _create_metrics()


def downgrade() -> None:
    """Remove both."""
    op.drop_table("training_metrics")
    op.drop_table("training_jobs")


def _create_jobs() -> None:
    op.create_table(
        "training_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_name", sa.String(255), nullable=False),
        sa.Column("celery_task_id", sa.String(255)),
        sa.Column("status", sa.String(50), server_default="pending"),
        sa.Column("created_at", sa.DateTime()),
        sa.Column("started_at", sa.DateTime()),
        sa.Column("completed_at", sa.DateTime()),
        sa.Column("config", _json, nullable=False),
        sa.Column("current_epoch", sa.Integer(), server_default="0"),
        sa.Column("total_epochs", sa.Integer(), nullable=False),
        sa.Column("progress_percent", sa.Float(), server_default="0.0"),
        sa.Column("train_loss", sa.Float()),
        sa.Column("val_loss", sa.Float()),
        sa.Column("train_accuracy", sa.Float()),
        sa.Column("val_accuracy", sa.Float()),
        sa.Column("learning_rate", sa.Float()),
        sa.Column("best_epoch", sa.Integer()),
        sa.Column("best_val_loss", sa.Float()),
        sa.Column("checkpoint_path", sa.String(512)),
        sa.Column("onnx_model_path", sa.String(512)),
        sa.Column("mlflow_run_id", sa.String(255)),
        sa.Column("error_message", sa.Text()),
        sa.Column("dataset_size", sa.Integer()),
        sa.Column("train_samples", sa.Integer()),
        sa.Column("val_samples", sa.Integer()),
        sa.Column("model_architecture", sa.String(100)),
        # the names that PostgreSQL gives by itself, so that both ways lead to the same tables
        sa.PrimaryKeyConstraint("id", name="training_jobs_pkey"),
        sa.UniqueConstraint("celery_task_id", name="training_jobs_celery_task_id_key"),
    )


def _create_metrics() -> None:
    op.create_table(
        "training_metrics",
        sa.Column("timestamp", sa.DateTime(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("training_job_id", sa.Uuid()),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer()),
        sa.Column("train_loss", sa.Float()),
        sa.Column("val_loss", sa.Float()),
        sa.Column("train_accuracy", sa.Float()),
        sa.Column("val_accuracy", sa.Float()),
        sa.Column("learning_rate", sa.Float()),
        sa.Column("gradient_norm", sa.Float()),
        sa.Column("phase", sa.String(20)),
        sa.PrimaryKeyConstraint("timestamp", "id", name="training_metrics_pkey"),
        sa.ForeignKeyConstraint(
            ["training_job_id"], ["training_jobs.id"], name="training_metrics_training_job_id_fkey"
        ),
    )
