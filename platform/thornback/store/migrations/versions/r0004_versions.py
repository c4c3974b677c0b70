"""Jobs that belong to another job, and trained models with their versions.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_json = sa.JSON()
_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add to the jobs, whose rows stay as they are, and make the new tables."""
    op.add_column("training_jobs", sa.Column("parent_id", sa.Uuid()))
    op.create_index("ix_training_jobs_parent_id", "training_jobs", ["parent_id", "created_at", "id"])
    _create_models()
    _create_versions()
    _create_aliases()


def downgrade() -> None:
    """Remove all of it. The files of the versions stay in the storage."""
    for table in ("model_aliases", "model_versions", "models"):
        op.drop_table(table)
    op.drop_index("ix_training_jobs_parent_id", "training_jobs")
    with op.batch_alter_table("training_jobs") as jobs:
        jobs.drop_column("parent_id")


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("id", _big_id, nullable=False),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("newest", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("user", "name", name="uq_models_user_name"),
    )


def _create_versions() -> None:
    op.create_table(
        "model_versions",
        sa.Column("model_id", _big_id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("config", _json, nullable=False),
        sa.Column("lineage", _json, nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "version", name="pk_model_versions"),
        sa.UniqueConstraint("job_id", name="uq_model_versions_job_id"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], ondelete="CASCADE", name="fk_model_versions_model_id"),
    )


def _create_aliases() -> None:
    op.create_table(
        "model_aliases",
        sa.Column("model_id", _big_id, nullable=False),
        sa.Column("alias", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("set_at", _time, nullable=False),
        sa.Column("set_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "alias", name="pk_model_aliases"),
        sa.ForeignKeyConstraint(
            ["model_id", "version"],
            ["model_versions.model_id", "model_versions.version"],
            ondelete="CASCADE",
            name="fk_model_aliases_model_id",
        ),
    )
