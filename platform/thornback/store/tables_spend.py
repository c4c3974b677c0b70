"""Tables of money, of quotas and of what is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from thornback.store.columns import BigId, Uuid
from thornback.store.table import Table, json, of, text, time


class LedgerRow(Table, table=True):
    """One movement; rows are never changed, and outlive their jobs. The sum of a job's rows is what it costs."""

    __tablename__: ClassVar[str] = "ledger"
    __table_args__ = (
        sa.Index("ix_ledger_user", "user", "booked_at"),
        sa.Index("ix_ledger_team", "team", "booked_at"),
        sa.Index("ix_ledger_job_id", "job_id", "id"),
        sa.Index("ix_ledger_booked_at", "booked_at"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=sa.Column(BigId, primary_key=True))
    at: datetime = time(nullable=False)
    booked_at: datetime = time(nullable=False)  # when the job, or the one that it is a part of, was admitted
    job_id: str = of(Uuid)  # no foreign key
    user: str = text(255, nullable=False)
    team: str | None = text(100)
    kind: str = text(50, nullable=False)
    backend: str = text(50, nullable=False)
    entry: str = text(20, nullable=False)  # reserved, released, charged, corrected
    micro_usd: int = Field(sa_type=sa.BigInteger())
    gpu_ms: int = Field(sa_type=sa.BigInteger())
    basis: str = text(255, nullable=False)


class QuotaRow(Table, table=True):
    """Limits that an admin has given to a user or a team."""

    __tablename__: ClassVar[str] = "quotas"
    __table_args__ = (sa.PrimaryKeyConstraint("kind", "name"),)

    kind: str = text(10, nullable=False)  # user, team
    name: str = text(255, nullable=False)
    limits: dict[str, Any] = json()
    note: str = text(nullable=False)
    set_at: datetime = time(nullable=False)
    set_by: str = text(255, nullable=False)
    ends_at: datetime | None = time()


class JobStorage(Table, table=True):
    """The bytes of the files that a job has recorded."""

    __tablename__: ClassVar[str] = "job_storage"
    __table_args__ = (sa.Index("ix_job_storage_user", "user"), sa.Index("ix_job_storage_team", "team"))

    job_id: str = Field(sa_column=sa.Column(Uuid, primary_key=True))
    user: str = text(255, nullable=False)
    team: str | None = text(100)
    size_bytes: int = Field(sa_type=sa.BigInteger())
