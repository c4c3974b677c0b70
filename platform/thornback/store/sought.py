"""What is known of webhooks that come in, for many at once: came it before, and which order is it about?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from thornback.jobs.items import ItemState
from thornback.store.columns import canonical_id
from thornback.store.guard import store_errors
from thornback.store.items import read_items_at, read_older_order, read_order
from thornback.store.tables import TrainingJob, WebhookDelivery

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_inbox = WebhookDelivery.__table__  # type: ignore[attr-defined]

_IN_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A webhook, and which order it is about."""

    provider: str
    delivery_id: str
    provider_id: str  # looked for where no job is named
    job_id: str | None = None
    item: int = 1
    order: int | None = None  # None: the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An order as an item with its number and fate, and the kind of its job."""

    item: ItemState
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database has."""

    is_applied: bool  # the same delivery came before and was used
    order: Found | None  # None: nobody gave it


def look_up(engine: sa.Engine, wanted: Sequence[Sought]) -> list[Known]:
    """What is known, in the order of the question. Raises StoreUnavailable."""
    with store_errors(), engine.connect() as connection:
        applied = _applied(connection, wanted)
        newest = _newest(connection, [(sought.job_id, sought.item) for sought in wanted if sought.job_id])
        return [
            Known(is_applied=(sought.provider, sought.delivery_id) in applied, order=_order(connection, sought, newest))
            for sought in wanted
        ]


def _applied(connection: sa.Connection, wanted: Sequence[Sought]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for provider in {sought.provider for sought in wanted}:
        ids = [sought.delivery_id for sought in wanted if sought.provider == provider]
        for start in range(0, len(ids), _IN_CHUNK):
            statement = sa.select(_inbox.c.delivery_id).where(
                _inbox.c.provider == provider,
                _inbox.c.delivery_id.in_(ids[start : start + _IN_CHUNK]),
                _inbox.c.state == "applied",
            )
            found |= {(provider, delivery_id) for delivery_id in connection.execute(statement).scalars()}
    return found


def _order(connection: sa.Connection, sought: Sought, newest: dict[tuple[str, int], Found]) -> Found | None:
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
