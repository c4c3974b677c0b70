"""Jobs as folds of events: the stream, logs, idempotency keys, and the rows of the source's tables moved over.

The source's tables are renamed, ours made beside them, the rows copied and the old tables dropped, so
that it does not matter how exactly the old ones were made. `celery_task_id` becomes `submission_id`:
the id that whatever runs the job knows it by.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from thornback.store.migrations.source_rows import copy_source
from thornback.store.migrations.timescale import make_hypertable

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_json = sa.JSON()
_jsonb = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_sorted_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make our tables and move the rows."""
    op.rename_table("training_metrics", "source_metrics")
    op.rename_table("training_jobs", "source_jobs")
    _create_jobs()
    _create_metrics()
    _create_events()
    _create_logs()
    _create_keys()
    copy_source(op.get_bind())
    op.drop_table("source_metrics")
    op.drop_table("source_jobs")
    _create_indexes()
    make_hypertable(op.get_bind())


def downgrade() -> None:
    """Refused: the old tables have no place for events, logs and most of what is known of a job."""
    raise NotImplementedError(
        "revision 0002 cannot be undone, because the tables before it cannot hold events and logs; "
        "restore the backup that was made before the upgrade"
    )


def _create_jobs() -> None:
    op.create_table(
        "training_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_name", sa.String(255), nullable=False),
        sa.Column("name_key", _sorted_text, nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("backend", sa.String(50), nullable=False),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("tags", _json, nullable=False),
        sa.Column("retry_of", sa.String(64)),
        sa.Column("resume_from", sa.Text()),
        sa.Column("status", _sorted_text, nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("stage", sa.Text()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("submission_id", sa.String(255)),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("delete_requested", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("queue_position", sa.Integer()),
        sa.Column("queue_reason", sa.Text()),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("started_at", _time),
        sa.Column("completed_at", _time),
        sa.Column("eta_at", _time),
        sa.Column("config", _jsonb, nullable=False),
        sa.Column("model_architecture", sa.String(100)),
        sa.Column("current_epoch", sa.Integer(), nullable=False),
        sa.Column("total_epochs", sa.Integer(), nullable=False),
        sa.Column("progress_percent", sa.Double(), nullable=False),
        sa.Column("train_loss", sa.Double()),
        sa.Column("val_loss", sa.Double()),
        sa.Column("train_accuracy", sa.Double()),
        sa.Column("val_accuracy", sa.Double()),
        sa.Column("learning_rate", sa.Double()),
        sa.Column("best_epoch", sa.Integer()),
        sa.Column("best_val_loss", sa.Double()),
        sa.Column("dataset_size", sa.BigInteger()),
        sa.Column("train_samples", sa.BigInteger()),
        sa.Column("val_samples", sa.BigInteger()),
        sa.Column("checkpoint_path", sa.Text()),
        sa.Column("onnx_model_path", sa.Text()),
        sa.Column("mlflow_run_id", sa.String(255)),
        sa.Column("failure", sa.String(50)),
        sa.Column("error_message", sa.Text()),
        sa.Column("state", _json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_training_jobs"),
    )


def _create_metrics() -> None:
    op.create_table(
        "training_metrics",
        sa.Column("timestamp", _time, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("training_job_id", sa.Uuid()),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer()),
        sa.Column("phase", sa.String(20)),
        sa.Column("train_loss", sa.Double()),
        sa.Column("val_loss", sa.Double()),
        sa.Column("train_accuracy", sa.Double()),
        sa.Column("val_accuracy", sa.Double()),
        sa.Column("learning_rate", sa.Double()),
        sa.Column("gradient_norm", sa.Double()),
        sa.Column("extra", _json),
        sa.PrimaryKeyConstraint("timestamp", "id", name="pk_training_metrics"),
        sa.ForeignKeyConstraint(
            ["training_job_id"], ["training_jobs.id"], ondelete="CASCADE", name="fk_training_metrics_training_job_id"
        ),
    )


def _create_events() -> None:
    op.create_table(
        "job_events",
        sa.Column("id", _big_id, nullable=False, autoincrement=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("data", _json),
        sa.Column("at", _time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_events"),
        sa.UniqueConstraint("job_id", "source", "key", name="uq_job_events_job_id_source_key"),
    )


def _create_logs() -> None:
    op.create_table(
        "job_logs",
        sa.Column("event_id", _big_id, nullable=False, autoincrement=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("restart", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("lines", _json, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_job_logs"),
        sa.ForeignKeyConstraint(["job_id"], ["training_jobs.id"], ondelete="CASCADE", name="fk_job_logs_job_id"),
    )


def _create_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("request_hash", sa.String(128), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("user", "key", name="pk_idempotency_keys"),
    )


def _create_indexes() -> None:
    indexes = {
        "training_jobs": {
            "created_at": ["created_at", "id"],
            "status": ["status", "created_at", "id"],
            "user": ["user", "created_at", "id"],
            "name_key": ["name_key", "id"],
            "progress_percent": ["progress_percent", "id"],
            "priority": ["priority", "id"],
            "is_active": ["is_active", "created_at", "id"],
            "queue_position": ["queue_position"],
        },
        "training_metrics": {"job": ["training_job_id", "event_id"]},
        "job_events": {"job": ["job_id", "id"]},
        "job_logs": {"job": ["job_id", "event_id"]},
        "idempotency_keys": {"created_at": ["created_at"], "job_id": ["job_id"]},
    }
    for table, named in indexes.items():
        for name, columns in named.items():
            op.create_index(f"ix_{table}_{name}", table, columns)
    epochs_only = sa.text("batch IS NULL")
    op.create_index(
        "ix_training_metrics_epochs",
        "training_metrics",
        ["training_job_id", "event_id"],
        sqlite_where=epochs_only,
        postgresql_where=epochs_only,
    )
