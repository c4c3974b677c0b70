"""Quotas and the ledger, as `client.quotas`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

_QUOTAS = "/api/v1/quotas"
Kind = Literal["user", "team"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class OwnLimits(_Answer):
    """Limits that an admin has set for somebody."""

    limits: Mapping[str, float | None]  # None: no limit
    note: str = ""
    set_at: datetime
    set_by: str
    ends_at: datetime | None = None  # None: until they are cleared


class QuotaLevel(_Answer):
    """Where somebody stands with one limit."""

    quota: str
    used: float  # with what is set aside for jobs that have not ended
    limit: float
    share: float | None = None
    resets_at: datetime | None = None


class QuotaState(_Answer):
    """What a user or a team may have, and has."""

    kind: Kind
    name: str
    limits: Mapping[str, float | None]
    own: OwnLimits | None = None  # None: the settings hold
    jobs: int  # at once
    gpu_hours: float  # of this month
    storage_bytes: int
    usd_day: float
    usd_month: float
    levels: tuple[QuotaLevel, ...] = ()  # of the limits that there are

    @property
    def usage(self) -> Mapping[str, float]:
        """What is used, by the names of the limits."""
        return {name: getattr(self, name) for name in ("jobs", "gpu_hours", "storage_bytes", "usd_day", "usd_month")}


class Spent(_Answer):
    """What one group has spent; what it is not grouped by is None."""

    day: date | None = None
    user: str | None = None
    team: str | None = None
    job_id: str | None = None
    kind: str | None = None
    backend: str | None = None
    jobs: int
    charged_usd: float
    reserved_usd: float
    charged_gpu_hours: float
    reserved_gpu_hours: float


class Quotas:
    """What users and teams may have, and what they have spent."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def mine(self) -> list[QuotaState]:
        """Yours and those of your teams."""
        return [QuotaState.model_validate(item) for item in self._call("GET", f"{_QUOTAS}/mine")["quotas"]]

    def all(self) -> dict[str, Any]:
        """The limits of the settings, and whose are others (`set_for`); for admins."""
        found: dict[str, Any] = self._call("GET", _QUOTAS)
        return found

    def get(self, name: str, *, kind: Kind = "user") -> QuotaState:
        """What somebody may have, and has; for admins."""
        return QuotaState.model_validate(self._call("GET", _path(kind, name)))

    def set(
        self,
        name: str,
        limits: Mapping[str, float | int | None],
        *,
        kind: Kind = "user",
        note: str = "",
        until: datetime | None = None,
    ) -> QuotaState:
        """Give somebody limits of their own; for admins.

        What allows more than the settings ends at `until`, or with its day or month where that is left out.

        `limits` has some of jobs, gpu_hours, storage_bytes, usd_day, usd_month; None: no limit. What it does not
        name is as in the settings. Raises InvalidInput, NotFound for an unknown team.
        """
        body: dict[str, Any] = {**limits, "note": note}
        if until is not None:
            body["until"] = until.isoformat()
        return QuotaState.model_validate(self._call("PUT", _path(kind, name), json=body))

    def clear(self, name: str, *, kind: Kind = "user") -> QuotaState:
        """Back to the settings; for admins."""
        return QuotaState.model_validate(self._call("DELETE", _path(kind, name)))

    def spent(
        self, *, by: Sequence[str] = ("user", "backend"), since: datetime | None = None, until: datetime | None = None
    ) -> list[Spent]:
        """What was spent, in groups by some of day, user, team, job_id, kind, backend."""
        bounds = {"since": since, "until": until}
        params: dict[str, Any] = {name: at.isoformat() for name, at in bounds.items() if at is not None}
        rows = self._call("GET", "/api/v1/reports/spend", params={**params, "by": list(by)})["rows"]
        return [Spent.model_validate(row) for row in rows]


def _path(kind: Kind, name: str) -> str:
    return f"{_QUOTAS}/{kind}/{quote(name, safe='')}"
