"""How much somebody may have, how much that is already, and the answer to one who wants more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from thornback.by_name import ByName
from thornback.errors import InvalidInput, QuotaExceeded, SpendExceeded
from thornback.settings import Quota
from thornback.spend.money import MS_PER_HOUR, hours, micro, usd
from thornback.spend.periods import next_day, next_month
from thornback.spend.prices import Amount

HolderKind = Literal["user", "team"]


class Limited(StrEnum):
    """What is limited: the fields of `Quota`."""

    JOBS = "jobs"
    GPU_HOURS = "gpu_hours"
    STORAGE = "storage_bytes"
    USD_DAY = "usd_day"
    USD_MONTH = "usd_month"


@dataclass(frozen=True, slots=True, order=True)
class Holder(ByName):
    """Whose quota it is."""

    kind: HolderKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a holder has of everything that is limited; what is set aside counts as used."""

    jobs: int = 0
    storage_bytes: int = 0
    gpu_ms: int = 0  # of this month
    day_micro: int = 0
    month_micro: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level(ByName):
    """Where a holder stands with one limit, in whole units: jobs, bytes, milliseconds, millionths of a dollar."""

    holder: Holder
    what: Limited
    used: int
    limit: int
    resets_at: datetime | None

    def allows(self, wanted: int) -> bool:
        """Whether so much more is within the limit. Nothing more always is, but in a full storage."""
        if self.what is Limited.STORAGE:
            return self.used < self.limit
        return wanted == 0 or self.used + wanted <= self.limit

    def reaches(self, share: float, wanted: int) -> bool:
        """Whether so much more is what brings it to a share of the limit."""
        mark = share * self.limit
        if self.what is Limited.STORAGE:
            return self.used >= mark
        return self.used < mark <= self.used + wanted

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more is allowed."""
        return self.used >= self.limit

    def shown(self, amount: int) -> float | int:
        """An amount in the unit of the setting."""
        if self.what is Limited.GPU_HOURS:
            return round(hours(amount), 4)
        return usd(amount) if self.what in (Limited.USD_DAY, Limited.USD_MONTH) else amount


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSet:
    """Somebody's own limits, which an admin has set; a field that they do not name is as in the settings."""

    holder: Holder
    limits: Mapping[str, float | int | None]  # None: no limit
    note: str
    set_at: datetime
    set_by: str
    ends_at: datetime | None = None  # the settings hold again from then on; None: until they are cleared

    def holds(self, at: datetime) -> bool:
        """False once they have ended."""
        return self.ends_at is None or at < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SetQuota(ByName):
    """Give somebody limits of their own; they replace those set before."""

    holder: Holder
    limits: Mapping[str, float | int | None]
    note: str
    by: str
    at: datetime
    ends_at: datetime | None = None  # see end_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearQuota(ByName):
    """Back to the settings. False where there was nothing of their own."""

    holder: Holder
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOn(ByName):
    """Set more aside for a run of our own that takes longer than was thought, or ask it to end where nobody may.

    False where what is set aside lasts beyond `ahead`, and where the job has ended or is to end anyway.
    """

    job_id: str
    at: datetime
    ahead: timedelta  # what has to be set aside before it is used: a run that is asked to end takes a while
    step: timedelta  # set aside beyond that, where the limits allow it
    may_exceed: bool  # the run goes on whatever the limits say


QuotaChange = SetQuota | ClearQuota | GoOn


def effective(defaults: Quota, own: Mapping[str, Any] | None) -> Quota:
    """The settings with what an admin has set over them."""
    return defaults if not own else Quota.model_validate({**defaults.model_dump(), **own})


def end_of(
    limits: Mapping[str, float | int | None], defaults: Quota, *, wanted: datetime | None, at: datetime
) -> datetime | None:
    """When limits end that are set at `at`: as wanted; what allows more than the settings, with its period at most.

    That is the day where only `usd_day` is lifted, else the month. None: never, for what only allows less.

    Raises:
        InvalidInput: `wanted` is past.
    """
    if wanted is not None:
        if wanted <= at:
            raise InvalidInput.field("until", f"{wanted:%Y-%m-%dT%H:%MZ} is past; it has to lie ahead")
        return wanted
    lifted = {name for name, limit in limits.items() if _is_more(limit, getattr(defaults, name, None))}
    if not lifted:
        return None
    return next_day(at) if lifted == {Limited.USD_DAY.value} else next_month(at)


def _is_more(limit: float | int | None, default: float | int | None) -> bool:
    return default is not None and (limit is None or limit > default)


def levels(holder: Holder, quota: Quota, used: Used, *, at: datetime) -> list[Level]:
    """Where a holder stands with each limit that there is."""
    rows: list[tuple[Limited, int, int | None, datetime | None]] = [
        (Limited.JOBS, used.jobs, quota.jobs, None),
        (Limited.GPU_HOURS, used.gpu_ms, _scaled(quota.gpu_hours, MS_PER_HOUR), next_month(at)),
        (Limited.STORAGE, used.storage_bytes, quota.storage_bytes, None),
        (Limited.USD_DAY, used.day_micro, None if quota.usd_day is None else micro(quota.usd_day), next_day(at)),
        (
            Limited.USD_MONTH,
            used.month_micro,
            None if quota.usd_month is None else micro(quota.usd_month),
            next_month(at),
        ),
    ]
    return [
        Level(holder=holder, what=what, used=have, limit=limit, resets_at=resets)
        for what, have, limit, resets in rows
        if limit is not None
    ]


def wanted_of(what: Limited, amount: Amount, *, is_part: bool) -> int:
    """How much of a limit a new job takes. Parts of a job are no jobs of their own."""
    return {
        Limited.JOBS: 0 if is_part else 1,
        Limited.GPU_HOURS: amount.gpu_ms,
        Limited.STORAGE: 0,
        Limited.USD_DAY: amount.micro_usd,
        Limited.USD_MONTH: amount.micro_usd,
    }[what]


def check(found: Iterable[Level], amount: Amount, *, is_part: bool, at: datetime) -> None:
    """Raises SpendExceeded or QuotaExceeded for the first limit that a new job would break."""
    for level in found:
        wanted = wanted_of(level.what, amount, is_part=is_part)
        # A part goes on with what its whole was admitted for; a full storage does not stop it halfway.
        if not level.allows(wanted) and not (is_part and level.what is Limited.STORAGE):
            raise _refusal(level, wanted, at)


def blocked(found: Iterable[Level], more: Amount) -> Level | None:
    """The first limit that a run would break by going on, None where it breaks none; a full storage stops none."""
    for level in found:
        wanted = wanted_of(level.what, more, is_part=True)
        if level.what is not Limited.STORAGE and not level.allows(wanted):
            return level
    return None


def warnings(found: Iterable[Level], amount: Amount, *, share: float, is_part: bool) -> Sequence[Level]:
    """The limits of which a new job reaches a share, with what it takes counted as used."""
    reached = []
    for level in found:
        wanted = wanted_of(level.what, amount, is_part=is_part)
        if level.reaches(share, wanted):
            reached.append(
                Level(
                    holder=level.holder,
                    what=level.what,
                    used=level.used + wanted,
                    limit=level.limit,
                    resets_at=level.resets_at,
                )
            )
    return reached


def stopped(level: Level) -> str:
    """Why a run that needs more is asked to end, for people."""
    return (
        f"{sentence(level)}, and the run takes longer than was set aside for it: it was stopped. It can be retried, "
        f"from its last checkpoint, when {_relief(level)}"
    )


def sentence(level: Level) -> str:
    """What is used, for people."""
    used, limit = level.shown(level.used), level.shown(level.limit)
    return f"{level.holder} uses {_text(level.what, used)} of {_text(level.what, limit)} {_UNIT[level.what]}"


_UNIT = {
    Limited.JOBS: "jobs at once",
    Limited.GPU_HOURS: "GPU hours of this month",
    Limited.STORAGE: "bytes of storage",
    Limited.USD_DAY: "USD of today",
    Limited.USD_MONTH: "USD of this month",
}


def _refusal(level: Level, wanted: int, at: datetime) -> QuotaExceeded:
    kind = SpendExceeded if level.what in (Limited.USD_DAY, Limited.USD_MONTH) else QuotaExceeded
    more = f", and this job is set down with {_text(level.what, level.shown(wanted))} more" if wanted else ""
    when = {
        Limited.JOBS: "wait for one to end",
        Limited.STORAGE: "delete jobs that nobody needs",
    }.get(level.what, _anew(level))
    message = f"{sentence(level)}{more}: {when}, or ask an admin to lift it (`{_lift(level)}`)"
    details: dict[str, Any] = {
        "quota": level.what.value,
        "holder": {"kind": level.holder.kind, "name": level.holder.name},
        "used": level.shown(level.used),
        "wanted": level.shown(wanted),
        "limit": level.shown(level.limit),
        "resets_at": level.resets_at.isoformat() if level.resets_at else None,
        "lifted_by": "an admin",
    }
    if level.resets_at is not None:
        details["retry_after_s"] = max(1, int((level.resets_at - at).total_seconds()))
    return kind(message, **details)


def _relief(level: Level) -> str:
    return f"{_anew(level)}, or when an admin has lifted it (`{_lift(level)}`)"


def _anew(level: Level) -> str:
    return f"it begins anew at {level.resets_at:%Y-%m-%dT%H:%MZ}" if level.resets_at else ""


def _lift(level: Level) -> str:
    return f"thornback quota set {level.holder.name}{' --team' if level.holder.kind == 'team' else ''}"


def _text(what: Limited, amount: float | int) -> str:
    if what in (Limited.USD_DAY, Limited.USD_MONTH):
        return f"{amount:.2f}"
    return f"{amount:g}" if isinstance(amount, float) else str(amount)


def _scaled(value: float | None, factor: int) -> int | None:
    return None if value is None else round(value * factor)
