"""The ledger: rows are added and added up, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from thornback.jobs.state import JobState
from thornback.spend.periods import day_of, month_of, next_day, next_month
from thornback.spend.prices import Amount
from thornback.spend.quotas import Holder, HolderKind, Used
from thornback.store.cells import cut
from thornback.store.tables import TrainingJob
from thornback.store.tables_spend import JobStorage, LedgerRow
from thornback.store.trials import count_beyond_first, is_going_on

_ledger = LedgerRow.__table__  # type: ignore[attr-defined]
_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_stored = JobStorage.__table__  # type: ignore[attr-defined]

Entry = Literal["reserved", "released", "charged", "corrected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The sum of a job's rows, and when they are booked."""

    micro_usd: int = 0
    gpu_ms: int = 0
    reserved_micro: int = 0  # that are set aside
    is_settled: bool = False  # something was said after that
    booked_at: datetime | None = None  # None: it has no rows

    def given_back(self, basis: str) -> Amount:
        """What makes the sum nothing."""
        return Amount(micro_usd=-self.micro_usd, gpu_ms=-self.gpu_ms, basis=basis)


def book(
    connection: sa.Connection, job: JobState, entry: Entry, amount: Amount, *, at: datetime, booked_at: datetime
) -> None:
    """Add a row, unless it would say nothing."""
    if not amount.micro_usd and not amount.gpu_ms:
        return
    row = {
        "at": at,
        "booked_at": booked_at,
        "job_id": job.id,
        "user": cut(job.user, 255) or "",
        "team": cut(job.team, 100),
        "kind": cut(job.kind, 50),
        "backend": cut(job.backend, 50),
        "entry": entry,
        "micro_usd": amount.micro_usd,
        "gpu_ms": amount.gpu_ms,
        "basis": cut(amount.basis, 255) or "",
    }
    connection.execute(sa.insert(_ledger).values(row))


def balance(connection: sa.Connection, job_id: str) -> Balance:
    """What a job's rows come to."""
    is_first = _ledger.c.entry == "reserved"
    sums = sa.select(
        sa.func.sum(_ledger.c.micro_usd).label("micro"),
        sa.func.sum(_ledger.c.gpu_ms).label("gpu"),
        sa.func.sum(sa.case((is_first, _ledger.c.micro_usd), else_=0)).label("reserved"),
        sa.func.sum(sa.case((is_first, 0), else_=1)).label("later"),
        sa.func.min(_ledger.c.booked_at).label("booked"),
    ).where(_ledger.c.job_id == job_id)
    row = connection.execute(sums).one()
    return Balance(
        micro_usd=int(row.micro or 0),
        gpu_ms=int(row.gpu or 0),
        reserved_micro=int(row.reserved or 0),
        is_settled=bool(row.later),
        booked_at=row.booked,
    )


def held_by(connection: sa.Connection, job_ids: Sequence[str]) -> Mapping[str, Balance]:
    """What is set aside for jobs that have not ended; those without rows hold nothing."""
    mine = sa.select(_ledger.c.job_id, sa.func.sum(_ledger.c.micro_usd), sa.func.sum(_ledger.c.gpu_ms))
    rows = connection.execute(mine.where(_ledger.c.job_id.in_(job_ids)).group_by(_ledger.c.job_id))
    found = {str(id): Balance(micro_usd=int(micro or 0), gpu_ms=int(gpu or 0)) for id, micro, gpu in rows}
    return {id: found.get(id, Balance()) for id in job_ids}


def used_by(connection: sa.Connection, holder: Holder, *, at: datetime, without_job: str | None = None) -> Used:
    """What a holder has in the day and the month of `at`; `without_job` is not counted among the jobs."""
    begin, end = month_of(at), next_month(at)
    today = sa.and_(_ledger.c.booked_at >= day_of(at), _ledger.c.booked_at < next_day(at))
    sums = sa.select(
        sa.func.sum(_ledger.c.micro_usd).label("month"),
        sa.func.sum(sa.case((today, _ledger.c.micro_usd), else_=0)).label("day"),
        sa.func.sum(_ledger.c.gpu_ms).label("gpu"),
    ).where(_ledger.c[holder.kind] == holder.name, _ledger.c.booked_at >= begin, _ledger.c.booked_at < end)
    row = connection.execute(sums).one()
    counted = [_jobs.c[holder.kind] == holder.name, *([] if without_job is None else [_jobs.c.id != without_job])]
    jobs = sa.select(sa.func.count()).select_from(_jobs).where(is_going_on(), _jobs.c.parent_id.is_(None), *counted)
    size = sa.select(sa.func.sum(_stored.c.size_bytes)).where(_stored.c[holder.kind] == holder.name)
    return Used(
        jobs=connection.execute(jobs).scalar_one() + count_beyond_first(connection, *counted),
        storage_bytes=int(connection.execute(size).scalar_one() or 0),
        gpu_ms=int(row.gpu or 0),
        day_micro=int(row.day or 0),
        month_micro=int(row.month or 0),
    )


def most_spent(connection: sa.Connection, kind: HolderKind, *, at: datetime, limit: int) -> list[Holder]:
    """Who has most in the ledger of a month."""
    name, month = _ledger.c[kind], _ledger.c.booked_at.between(month_of(at), next_month(at))
    most = sa.func.sum(_ledger.c.micro_usd).desc()
    rows = sa.select(name).where(name.is_not(None), month).group_by(name).order_by(most, name).limit(limit)
    return [Holder(kind, found) for found in connection.execute(rows).scalars()]


def note_size(connection: sa.Connection, job: JobState, size_bytes: int) -> None:
    """Keep how much a job has stored."""
    row: Mapping[str, Any] = {
        "user": cut(job.user, 255) or "",
        "team": cut(job.team, 100),
        "size_bytes": min(size_bytes, 2**62),
    }
    changed = connection.execute(sa.update(_stored).where(_stored.c.job_id == job.id).values(row))
    if not changed.rowcount and size_bytes:
        connection.execute(sa.insert(_stored).values({**row, "job_id": job.id}))


def forget_size(connection: sa.Connection, job_id: str) -> None:
    """Of a job whose files are gone."""
    connection.execute(sa.delete(_stored).where(_stored.c.job_id == job_id))
