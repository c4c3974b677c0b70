"""Tables of who may use the platform, and of who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from thornback.store.columns import BigId
from thornback.store.table import Table, json, text, time


class UserRow(Table, table=True):
    """Somebody who can sign in."""

    __tablename__: ClassVar[str] = "users"

    name: str = Field(sa_column=sa.Column(sa.String(100), primary_key=True))
    role: str = text(20, nullable=False)
    is_active: bool = True
    password_hash: str | None = text(255)
    created_at: datetime = time(nullable=False)


class ApiKeyRow(Table, table=True):
    """An API key; of its secret only a digest."""

    __tablename__: ClassVar[str] = "api_keys"
    __table_args__ = (sa.Index("ix_api_keys_user", "user", "created_at"),)

    id: str = Field(sa_column=sa.Column(sa.String(16), primary_key=True))
    user: str = Field(
        sa_column=sa.Column(sa.String(100), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False)
    )
    digest: str = text(64, nullable=False)
    label: str = text(100, nullable=False)
    role: str | None = text(20)
    scopes: dict[str, Any] | None = json(nullable=True)
    created_at: datetime = time(nullable=False)
    expires_at: datetime | None = time()
    revoked_at: datetime | None = time()
    used_at: datetime | None = time()


class SessionRow(Table, table=True):
    """A browser that is signed in."""

    __tablename__: ClassVar[str] = "sessions"
    __table_args__ = (sa.Index("ix_sessions_user", "user"), sa.Index("ix_sessions_expires_at", "expires_at"))

    id: str = Field(sa_column=sa.Column(sa.String(16), primary_key=True))
    user: str = Field(
        sa_column=sa.Column(sa.String(100), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False)
    )
    digest: str = text(64, nullable=False)
    created_at: datetime = time(nullable=False)
    expires_at: datetime = time(nullable=False)


class TeamRow(Table, table=True):
    """Users who share jobs."""

    __tablename__: ClassVar[str] = "teams"

    id: str = Field(sa_column=sa.Column(sa.String(100), primary_key=True))  # what jobs and people call it
    name: str = text(255, nullable=False)
    created_at: datetime = time(nullable=False)


class TeamMember(Table, table=True):
    """Who is in which team."""

    __tablename__: ClassVar[str] = "team_members"
    __table_args__ = (sa.PrimaryKeyConstraint("team", "user"), sa.Index("ix_team_members_user", "user", "team"))

    team: str = Field(sa_column=sa.Column(sa.String(100), sa.ForeignKey("teams.id", ondelete="CASCADE")))
    user: str = Field(sa_column=sa.Column(sa.String(100), sa.ForeignKey("users.name", ondelete="CASCADE")))


class OidcAccount(Table, table=True):
    """The user that an account at an OpenID provider belongs to: by its subject, which is never given again."""

    __tablename__: ClassVar[str] = "oidc_accounts"
    __table_args__ = (sa.PrimaryKeyConstraint("issuer", "subject"), sa.Index("ix_oidc_accounts_user", "user"))

    issuer: str = text(255, nullable=False)
    subject: str = text(255, nullable=False)
    user: str = Field(
        sa_column=sa.Column(sa.String(100), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False)
    )
    email: str | None = text(255)  # as it was when the account was linked
    linked_at: datetime = time(nullable=False)


class UsedState(Table, table=True):
    """The `state` of a sign-in at an OpenID provider, once it has come back: it works once."""

    __tablename__: ClassVar[str] = "used_states"
    __table_args__ = (sa.Index("ix_used_states_expires_at", "expires_at"),)

    digest: str = Field(sa_column=sa.Column(sa.String(64), primary_key=True))
    expires_at: datetime = time(nullable=False)


class AuditRow(Table, table=True):
    """Who did what. Rows are only ever added; each holds the hash of the one before it, see `access.audit`."""

    __tablename__: ClassVar[str] = "audit_log"
    __table_args__ = (
        sa.Index("ix_audit_log_actor", "actor", "seq"),
        sa.Index("ix_audit_log_action", "action", "seq"),
    )

    seq: int = Field(sa_column=sa.Column(BigId, primary_key=True, autoincrement=False))  # without gaps, from 1
    at: datetime = time(nullable=False)
    actor: str = text(255, nullable=False)
    action: str = text(50, nullable=False)
    target: str = text(255, nullable=False)
    detail: dict[str, Any] = json()
    previous_hash: str = text(64, nullable=False)
    hash: str = text(64, nullable=False)
