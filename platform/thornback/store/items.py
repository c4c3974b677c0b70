"""Items of jobs and their orders at providers: rows <-> ItemState, the fold, and the queries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from thornback.jobs.events import EventKind, JobEvent
from thornback.jobs.items import ItemState, ItemStatus, reduce_item, reduce_items
from thornback.jobs.status import JobStatus
from thornback.store.admit import short_text
from thornback.store.bulk import BulkWriter
from thornback.store.cells import MAX_BIG_INT, cut, whole_cell
from thornback.store.columns import Uuid
from thornback.store.engine import dump_json
from thornback.store.tables import JobEventRow, JobItem, ProviderOrder, TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_events = JobEventRow.__table__  # type: ignore[attr-defined]
_items = JobItem.__table__  # type: ignore[attr-defined]
_orders = ProviderOrder.__table__  # type: ignore[attr-defined]

ItemKey = tuple[str, int]  # job and number

_IN_CHUNK = 500
_FINAL = [status.value for status in JobStatus if status.is_final]
# The provider may still do something for these, or its files are not in our storage yet.
_OPEN = [status.value for status in ItemStatus if not status.is_over] + [ItemStatus.SUCCEEDED.value]
# The last part of the keys of an order's events, see `EventFactory.item`.
_STEPS = ("intended", "sent", "processing", "end", "stored")


def fold_items(connection: sa.Connection, bulk: BulkWriter, events: Sequence[JobEvent]) -> None:
    """Fold ITEM events that were new into the rows of their items, and note which orders they name."""
    if not events:
        return
    before = read_items_at(connection, {_key(event) for event in events})
    after = dict(before)
    for event in events:
        job_id, item = key = _key(event)
        after[key] = reduce_item(after.get(key) or ItemState(job_id=job_id, item=item), event)
    bulk.items(_item_row(item) for key, item in after.items() if item != before.get(key))
    bulk.orders(_order_row(event) for event in events if event.data["provider_id"] is not None)


def read_items(connection: sa.Connection, job_id: str) -> list[ItemState]:
    """A job's items by number."""
    statement = sa.select(_items).where(_items.c.job_id == job_id).order_by(_items.c.item)
    return [item_of_row(row) for row in connection.execute(statement)]


def read_item_counts(connection: sa.Connection, job_ids: Sequence[str]) -> dict[str, dict[tuple[ItemStatus, int], int]]:
    """For each of some jobs: how many of its items stand so, with their newest order being the first, second, …"""
    columns = (_items.c.job_id, _items.c.status, _items.c.order_number)
    statement = sa.select(*columns, sa.func.count()).where(_items.c.job_id.in_(job_ids)).group_by(*columns)
    found: dict[str, dict[tuple[ItemStatus, int], int]] = {job_id: {} for job_id in job_ids}
    for job_id, status, order, count in connection.execute(statement):
        found[job_id][ItemStatus(status), order] = count
    return found


def read_items_at(connection: sa.Connection, keys: Collection[ItemKey]) -> dict[ItemKey, ItemState]:
    """Those of these (job, item) pairs that there are, found by their key however many are asked for."""
    if not keys:
        return {}
    wanted, at_key = _wanted(connection, sorted(keys))
    # An outer join, because SQLite then begins with the pairs. As an inner one, or as an IN list of pairs,
    # it may read the whole table.
    statement = sa.select(_items).select_from(wanted.outerjoin(_items, at_key))
    rows = [row for row in connection.execute(statement) if row.job_id is not None]
    return {(row.job_id, row.item): item_of_row(row) for row in rows}


def read_order(connection: sa.Connection, provider: str, provider_id: str) -> ItemState | None:
    """The order that a provider knows by this id, as an item with the order's own number and fate.

    Where two jobs claim the id, the older one has it.
    """
    columns = (_jobs.c.created_at, _orders.c.job_id, _orders.c.item, _orders.c.order_number)
    statement = (
        sa.select(*columns)
        .join(_jobs, _jobs.c.id == _orders.c.job_id)
        .where(_orders.c.provider == cut(provider, 50), _orders.c.provider_id == order_id(provider_id))
    )
    claims = connection.execute(statement).all()
    if not claims:
        return None
    found = min(claims, key=tuple)
    newest = read_items_at(connection, {(found.job_id, found.item)})[found.job_id, found.item]
    if newest.order == found.order_number:
        return newest
    return read_older_order(connection, found.job_id, found.item, found.order_number)


def read_open_orders(connection: sa.Connection, provider: str) -> list[ItemState]:
    """Of jobs that have not ended, the oldest job first."""
    unended = sa.select(_jobs.c.id).where(_jobs.c.is_active, _jobs.c.status.not_in(_FINAL))
    job_ids = connection.execute(unended.order_by(_jobs.c.created_at, _jobs.c.id)).scalars().all()
    found: list[ItemState] = []
    for start in range(0, len(job_ids), _IN_CHUNK):
        chunk = job_ids[start : start + _IN_CHUNK]
        place = {job_id: number for number, job_id in enumerate(chunk)}
        statement = sa.select(_items).where(
            _items.c.job_id.in_(chunk), _items.c.provider == cut(provider, 50), _items.c.status.in_(_OPEN)
        )
        items = [item_of_row(row) for row in connection.execute(statement)]
        found += sorted(items, key=lambda item: (place[item.job_id], item.item))
    return found


def order_id(provider_id: str) -> str:
    """A provider's id as columns hold it."""
    return short_text(provider_id, 255)


def read_older_order(connection: sa.Connection, job_id: str, item: int, order: int) -> ItemState | None:
    """An order that another has replaced stands in the stream alone; None where there never was one."""
    keys = [f"item:{item}:{order}:{step}" for step in _STEPS]
    statement = sa.select(_events.c.source, _events.c.key, _events.c.at, _events.c.data).where(
        _events.c.job_id == job_id, _events.c.source == "provider", _events.c.key.in_(keys)
    )
    told: Iterable[JobEvent] = [
        JobEvent(job_id=job_id, source=row.source, key=row.key, kind=EventKind.ITEM, at=row.at, data=row.data)
        for row in connection.execute(statement)
    ]
    return reduce_items({}, told).get(item)


def _wanted(connection: sa.Connection, keys: Sequence[ItemKey]) -> tuple[sa.FromClause, sa.ColumnElement[bool]]:
    """Pairs as rows to join with, and how; one JSON document carries them all."""
    if connection.dialect.name == "sqlite":
        document = dump_json([[job_id.replace("-", ""), item] for job_id, item in keys])
        pairs = sa.func.json_each(document).table_valued("value", name="wanted")
        job, item = (sa.func.json_extract(pairs.c.value, f"$[{place}]") for place in (0, 1))
        return pairs, sa.and_(_items.c.job_id == job, _items.c.item == item)
    document = dump_json([{"job_id": job_id, "item": item} for job_id, item in keys])
    columns = (sa.column("job_id", Uuid), sa.column("item", sa.Integer))
    records = sa.func.json_to_recordset(sa.cast(sa.literal(document, sa.Text()), postgresql.JSON()))
    rows = records.table_valued(*columns, name="wanted").render_derived(with_types=True)
    return rows, sa.and_(_items.c.job_id == rows.c.job_id, _items.c.item == rows.c.item)


def _key(event: JobEvent) -> ItemKey:
    return event.job_id, event.data["item"]


def _order_row(event: JobEvent) -> dict[str, Any]:
    return {
        "provider": cut(event.data["provider"], 50),
        "provider_id": order_id(event.data["provider_id"]),
        "job_id": event.job_id,
        "item": event.data["item"],
        "order_number": event.data["order"],
    }


def _item_row(item: ItemState) -> Mapping[str, Any]:
    return {
        "job_id": item.job_id,
        "item": item.item,
        "order_number": item.order,
        "status": item.status.value,
        "provider": cut(item.provider, 50),
        "provider_id": None if item.provider_id is None else order_id(item.provider_id),
        "intended_at": item.intended_at,
        "sent_at": item.sent_at,
        "ended_at": item.ended_at,
        "webhook_at": item.webhook_at,
        "via": cut(item.via, 20),
        "error": cut(item.error),
        "outputs": [cut(address) for address in item.outputs if address is not None],
        "uri": cut(item.uri),
        "content_type": cut(item.content_type, 255),
        "size_bytes": whole_cell(item.size_bytes, MAX_BIG_INT),
        "sha256": cut(item.sha256, 64),
    }


def item_of_row(row: Any) -> ItemState:
    """A row of `job_items`."""
    return ItemState(
        job_id=row.job_id,
        item=row.item,
        order=row.order_number,
        status=ItemStatus(row.status),
        provider=row.provider,
        provider_id=row.provider_id,
        intended_at=row.intended_at,
        sent_at=row.sent_at,
        ended_at=row.ended_at,
        webhook_at=row.webhook_at,
        via=row.via,
        error=row.error,
        outputs=tuple(row.outputs),
        uri=row.uri,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
    )
