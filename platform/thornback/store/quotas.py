"""Limits that admins have set: read, and changed inside the writer's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from thornback.access.audit import Act
from thornback.errors import InvalidInput, NotFound
from thornback.settings import Quota
from thornback.spend.prices import Tariff
from thornback.spend.quotas import (
    ClearQuota,
    Holder,
    HolderKind,
    Level,
    QuotaSet,
    SetQuota,
    Used,
    effective,
    levels,
)
from thornback.store.admit import clean_text
from thornback.store.audit import append_act
from thornback.store.guard import store_errors
from thornback.store.ledger import most_spent, used_by
from thornback.store.tables_access import TeamRow
from thornback.store.tables_spend import QuotaRow

_quotas = QuotaRow.__table__  # type: ignore[attr-defined]
_teams = TeamRow.__table__  # type: ignore[attr-defined]

HOLDERS: Sequence[HolderKind] = ("user", "team")
_MOST_SPENDERS = 200  # of each kind


def quota_of(connection: sa.Connection, tariff: Tariff, holder: Holder, *, at: datetime) -> Quota:
    """What holds for somebody at a time."""
    own = read_quota(connection, holder, at=at)
    return effective(tariff.user if holder.kind == "user" else tariff.team, None if own is None else own.limits)


def levels_of(
    connection: sa.Connection,
    tariff: Tariff,
    holder: Holder,
    *,
    at: datetime,
    now: datetime | None = None,
    without_job: str | None = None,
) -> list[Level]:
    """Where somebody stands with each limit; nothing is added up where there is none.

    `at`: whose day and month are counted. `now`: whose limits hold; the same where it is left out.
    """
    quota = quota_of(connection, tariff, holder, at=now or at)
    if quota == Quota():
        return []
    return levels(holder, quota, used_by(connection, holder, at=at, without_job=without_job), at=at)


def read_quota(connection: sa.Connection, holder: Holder, *, at: datetime) -> QuotaSet | None:
    """What an admin has set for somebody, None where the settings hold, or hold again."""
    row = connection.execute(_of(holder)).first()
    own = None if row is None else _quota(row)
    return own if own is not None and own.holds(at) else None


def change_quota(change: SetQuota | ClearQuota, connection: sa.Connection) -> bool:
    """Set or clear somebody's limits, and write it into the audit log.

    Raises:
        NotFound: there is no such team.
        InvalidInput: no such limits.
    """
    holder = change.holder
    gone = connection.execute(
        sa.delete(_quotas).where(_quotas.c.kind == holder.kind, _quotas.c.name == clean_text(holder.name))
    )
    if isinstance(change, ClearQuota):
        if gone.rowcount:
            append_act(connection, Act(actor=change.by, action="quota.clear", target=str(holder), at=change.at))
        return bool(gone.rowcount)
    _check(change, connection)
    row = {
        "kind": holder.kind,
        "name": clean_text(holder.name)[:255],
        "limits": dict(change.limits),
        "note": clean_text(change.note),
        "set_at": change.at,
        "set_by": clean_text(change.by)[:255],
        "ends_at": change.ends_at,
    }
    connection.execute(sa.insert(_quotas).values(row))
    detail: dict[str, Any] = {"limits": dict(change.limits), "note": change.note}
    if change.ends_at is not None:
        detail["until"] = change.ends_at.isoformat()
    append_act(connection, Act(actor=change.by, action="quota.set", target=str(holder), at=change.at, detail=detail))
    return True


def _check(change: SetQuota, connection: sa.Connection) -> None:
    try:
        Quota.model_validate(dict(change.limits))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInput.field(".".join(map(str, first["loc"])) or "limits", first["msg"]) from None
    holder = change.holder
    is_team = holder.kind == "team"
    if is_team and connection.execute(sa.select(_teams.c.id).where(_teams.c.id == holder.name)).first() is None:
        raise NotFound(f"there is no team {holder.name!r}")


class QuotaReader:
    """Safe to use from many threads. Raises StoreUnavailable where the database does not answer."""

    def __init__(self, engine: sa.Engine, tariff: Tariff) -> None:
        self._engine, self._tariff = engine, tariff

    def all(self, *, at: datetime) -> Sequence[QuotaSet]:
        """What admins have set and has not ended, users before teams by name."""
        statement = sa.select(_quotas).order_by(_quotas.c.kind.desc(), _quotas.c.name)
        with self._connected() as connection:
            found = [_quota(row) for row in connection.execute(statement)]
        return [own for own in found if own.holds(at)]

    def of(self, holder: Holder, *, at: datetime) -> tuple[Quota, QuotaSet | None, Used, Sequence[Level]]:
        """What holds for somebody, what of it an admin has set, what is used, and where that stands."""
        with self._connected() as connection:
            own = read_quota(connection, holder, at=at)
            quota = quota_of(connection, self._tariff, holder, at=at)
            used = used_by(connection, holder, at=at)
        return quota, own, used, levels(holder, quota, used, at=at)

    def strained(self, holders: Iterable[Holder], *, at: datetime, others: bool = False) -> list[Level]:
        """The limits of which the share of the warning is used; with `others` also whose month costs most."""
        with self._connected() as connection:
            wanted = {*holders, *(_spenders(connection, at) if others else ())}
            found = [level for holder in sorted(wanted) for level in levels_of(connection, self._tariff, holder, at=at)]
        return [level for level in found if level.used and level.used >= self._tariff.warn_share * level.limit]

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with store_errors(), self._engine.connect() as connection:
            yield connection


def _spenders(connection: sa.Connection, at: datetime) -> Sequence[Holder]:
    return [holder for kind in HOLDERS for holder in most_spent(connection, kind, at=at, limit=_MOST_SPENDERS)]


def _of(holder: Holder) -> sa.Select[Any]:
    return sa.select(_quotas).where(_quotas.c.kind == holder.kind, _quotas.c.name == clean_text(holder.name))


def _quota(row: Any) -> QuotaSet:
    return QuotaSet(
        holder=Holder(row.kind, row.name),
        limits=row.limits,
        note=row.note,
        set_at=row.set_at,
        set_by=row.set_by,
        ends_at=row.ends_at,
    )
