"""Orders that webhooks are about: many at once, each by its address in our own words or by its provider's id."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from thornback.jobs.items import ItemState
from thornback.store.columns import canonical_id
from thornback.store.guard import store_errors
from thornback.store.items import read_items_at, read_older_order, read_order
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

_IN_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which order."""

    provider: str
    provider_id: str  # looked for where no job is named
    job_id: str | None = None
    item: int = 1
    order: int | None = None  # None: the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An order as an item with its number and fate, and the kind of its job."""

    item: ItemState
    kind: str


def find_orders(engine: sa.Engine, wanted: Sequence[Sought]) -> list[Found | None]:
    """The orders in the order of the question, None for each that nobody gave. Raises StoreUnavailable."""
    with store_errors(), engine.connect() as connection:
        newest = _newest(connection, [(sought.job_id, sought.item) for sought in wanted if sought.job_id])
        return [_one(connection, sought, newest) for sought in wanted]


def _one(connection: sa.Connection, sought: Sought, newest: dict[tuple[str, int], Found]) -> Found | None:
    if sought.job_id is None:
        item = read_order(connection, sought.provider, sought.provider_id)
        return None if item is None else Found(item=item, kind=_kind(connection, item.job_id))
    found = newest.get((sought.job_id, sought.item))
    if found is None or sought.order in (None, found.item.order):
        return found
    if sought.order > found.item.order:
        return None
    older = read_older_order(connection, sought.job_id, sought.item, sought.order)
    return None if older is None else Found(item=older, kind=found.kind)


def _newest(connection: sa.Connection, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Found]:
    wanted = {(known, item) for job_id, item in keys if (known := canonical_id(job_id)) is not None}
    items = read_items_at(connection, wanted)
    kinds = _kinds(connection, {job_id for job_id, _ in items})
    return {key: Found(item=item, kind=kinds[item.job_id]) for key, item in items.items()}


def _kinds(connection: sa.Connection, job_ids: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    wanted = sorted(job_ids)
    for start in range(0, len(wanted), _IN_CHUNK):
        statement = sa.select(_jobs.c.id, _jobs.c.kind).where(_jobs.c.id.in_(wanted[start : start + _IN_CHUNK]))
        found |= {row.id: row.kind for row in connection.execute(statement)}
    return found


def _kind(connection: sa.Connection, job_id: str) -> str:
    kind: str = connection.execute(sa.select(_jobs.c.kind).where(_jobs.c.id == job_id)).scalar_one()
    return kind
