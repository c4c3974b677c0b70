"""Quotas and the ledger on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from serve_apps.api.schemas import Wire
from thornback.settings import Quota
from thornback.spend.money import hours, usd
from thornback.spend.quotas import Level, QuotaSet, Used
from thornback.store.spend_report import Movement, SpendBy, Spent


class QuotaIn(Quota):
    """Limits of somebody's own. A field that is left out is as in the settings; null: no limit."""

    note: Annotated[str, Field(max_length=1000, description="Why; it stands in the audit log.")] = ""
    until: Annotated[
        AwareDatetime | None,
        Field(
            strict=False,
            description="When they end; left out: what allows more than the settings ends with its day or month, what "
            "allows less never.",
        ),
    ] = None


class LevelOut(Wire):
    """Where somebody stands with one limit."""

    quota: Literal["jobs", "gpu_hours", "storage_bytes", "usd_day", "usd_month"]
    used: float = Field(description="With what is set aside for jobs that have not ended.")
    limit: float
    share: float | None = Field(description="Used of the limit; null where nothing is allowed.")
    resets_at: datetime | None = Field(description="When it begins anew, for those that do.")

    @classmethod
    def of(cls, level: Level) -> Self:
        """For people."""
        return cls(
            quota=level.what.value,
            used=level.shown(level.used),
            limit=level.shown(level.limit),
            share=round(level.used / level.limit, 4) if level.limit else None,
            resets_at=level.resets_at,
        )


class OwnLimits(Wire):
    """Limits that an admin has set for somebody."""

    limits: dict[str, float | None]
    note: str
    set_at: datetime
    set_by: str
    ends_at: datetime | None = Field(description="The settings hold again from then on; null: until they are cleared.")

    @classmethod
    def of(cls, own: QuotaSet) -> Self:
        """Without whose they are."""
        return cls(limits=dict(own.limits), note=own.note, set_at=own.set_at, set_by=own.set_by, ends_at=own.ends_at)


class QuotaOut(Wire):
    """What somebody may have, has, and where that stands."""

    kind: Literal["user", "team"]
    name: str
    limits: Quota = Field(description="As they hold now; null: no limit.")
    own: OwnLimits | None = Field(description="What an admin has set; null: the settings hold.")
    jobs: int = Field(description="At once, waiting or running, without parts of others.")
    gpu_hours: float = Field(description="Of this month.")
    storage_bytes: int
    usd_day: float
    usd_month: float
    levels: list[LevelOut]

    @classmethod
    def of(
        cls,
        kind: Literal["user", "team"],
        name: str,
        found: tuple[Quota, QuotaSet | None, Used, Sequence[Level]],
    ) -> Self:
        """All of it."""
        quota, own, used, levels = found
        return cls(
            kind=kind,
            name=name,
            limits=quota,
            own=None if own is None else OwnLimits.of(own),
            jobs=used.jobs,
            gpu_hours=round(hours(used.gpu_ms), 4),
            storage_bytes=used.storage_bytes,
            usd_day=usd(used.day_micro),
            usd_month=usd(used.month_micro),
            levels=[LevelOut.of(level) for level in levels],
        )


class SetFor(Wire):
    """Somebody with limits of their own."""

    kind: Literal["user", "team"]
    name: str
    own: OwnLimits


class QuotaList(Wire):
    """The limits of all, and of some."""

    user: Quota = Field(description="Of each user, by the settings.")
    team: Quota = Field(description="Of each team, by the settings.")
    warn_share: float
    prices: dict[str, float] = Field(description="US dollars for an hour of our own machines.")
    set_for: list[SetFor]


class MyQuotas(Wire):
    """The caller's, and those of the caller's teams."""

    quotas: list[QuotaOut]


class SpentOut(Wire):
    """What one group has spent; what it is not grouped by is null."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    day: date | None = Field(description="UTC, on which the job, or the one that it is a part of, was admitted.")
    user: str | None
    team: str | None
    job_id: str | None
    kind: str | None
    backend: str | None = Field(description="ray: our own machines; else the provider.")
    jobs: int = Field(description="With rows in the ledger; deleted ones too.")
    charged_usd: float = Field(description="Of jobs that have ended.")
    reserved_usd: float = Field(description="Set aside for jobs that have not.")
    charged_gpu_hours: float
    reserved_gpu_hours: float

    @classmethod
    def of(cls, row: Spent) -> Self:
        """In dollars."""
        return cls(
            day=row.day,
            user=row.user,
            team=row.team,
            job_id=row.job_id,
            kind=row.kind,
            backend=row.backend,
            jobs=row.jobs,
            charged_usd=usd(row.charged_micro_usd),
            reserved_usd=usd(row.reserved_micro_usd),
            charged_gpu_hours=round(row.charged_gpu_hours, 6),
            reserved_gpu_hours=round(row.reserved_gpu_hours, 6),
        )


class SpendReport(Wire):
    """What was spent."""

    since: datetime | None
    until: datetime | None
    by: list[SpendBy]
    rows: list[SpentOut]


class MovementOut(BaseModel):
    """A row of the ledger."""

    id: int
    at: datetime
    booked_at: datetime = Field(description="The day and the month for which it counts.")
    job_id: str
    user: str
    team: str | None
    kind: str
    backend: str
    entry: str = Field(description="reserved, released, charged, corrected")
    usd: float
    gpu_hours: float
    basis: str

    @classmethod
    def of(cls, row: Movement) -> Self:
        """In dollars."""
        return cls(
            id=row.id,
            at=row.at,
            booked_at=row.booked_at,
            job_id=row.job_id,
            user=row.user,
            team=row.team,
            kind=row.kind,
            backend=row.backend,
            entry=row.entry,
            usd=usd(row.micro_usd),
            gpu_hours=round(hours(row.gpu_ms), 6),
            basis=row.basis,
        )


class LedgerPage(Wire):
    """Rows of the ledger, the oldest first."""

    rows: list[MovementOut]
    next_after: int | None = Field(description="`after` of the next page; null: there are no more.")
