"""Teams, accounts at OpenID providers, and the audit log.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_time = sa.DateTime(timezone=True)
_big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add to the jobs and models, whose rows stay as they are, and make the new tables."""
    op.add_column("training_jobs", sa.Column("team", sa.String(100)))
    op.create_index("ix_training_jobs_team", "training_jobs", ["team", "created_at", "id"])
    op.add_column("models", sa.Column("team", sa.String(100)))
    op.create_index("ix_models_team", "models", ["team", "id"])
    _create_teams()
    _create_oidc()
    _create_audit()


def downgrade() -> None:
    """Remove all of it. Export the audit log before."""
    for table in ("audit_log", "used_states", "oidc_accounts", "team_members", "teams"):
        op.drop_table(table)
    for table in ("models", "training_jobs"):
        op.drop_index(f"ix_{table}_team", table)
        with op.batch_alter_table(table) as changed:
            changed.drop_column("team")


def _create_teams() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
    )
    op.create_table(
        "team_members",
        sa.Column("team", sa.String(100), nullable=False),
        sa.Column("user", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("team", "user", name="pk_team_members"),
        sa.ForeignKeyConstraint(["team"], ["teams.id"], ondelete="CASCADE", name="fk_team_members_team"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], ondelete="CASCADE", name="fk_team_members_user"),
    )
    op.create_index("ix_team_members_user", "team_members", ["user", "team"])


def _create_oidc() -> None:
    op.create_table(
        "oidc_accounts",
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("user", sa.String(100), nullable=False),
        sa.Column("email", sa.String(255)),
        sa.Column("linked_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_oidc_accounts"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], ondelete="CASCADE", name="fk_oidc_accounts_user"),
    )
    op.create_index("ix_oidc_accounts_user", "oidc_accounts", ["user"])
    op.create_table(
        "used_states",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("expires_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_used_states"),
    )
    op.create_index("ix_used_states_expires_at", "used_states", ["expires_at"])


def _create_audit() -> None:
    op.create_table(
        "audit_log",
        sa.Column("seq", _big_id, nullable=False, autoincrement=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_actor", "audit_log", ["actor", "seq"])
    op.create_index("ix_audit_log_action", "audit_log", ["action", "seq"])
