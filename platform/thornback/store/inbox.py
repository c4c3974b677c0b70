"""The inbox of webhooks, to be read: applied deliveries, and the dead letters that wait for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from thornback.errors import InvalidInput, NotFound
from thornback.store.admit import short_text
from thornback.store.cells import MAX_BIG_INT
from thornback.store.columns import canonical_id
from thornback.store.page import MAX_LIMIT
from thornback.store.tables import WebhookDelivery

_inbox = WebhookDelivery.__table__  # type: ignore[attr-defined]

DeliveryState = Literal["applied", "dead"]

_HEAD = tuple(column for column in _inbox.c if column.name != "body")  # a page of bodies may be large


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A webhook that was received."""

    id: int
    provider: str
    delivery_id: str
    received_at: datetime
    provider_id: str | None
    job_id: str | None
    item: int | None
    status: str | None  # the provider's word
    state: DeliveryState
    problem: str | None  # of a dead letter
    body: str | None  # None in lists; empty once the job has been deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """Some of the deliveries, the newest first, without their bodies."""

    deliveries: tuple[DeliveryRow, ...]
    next_cursor: str | None  # None on the last page


def read_deliveries(
    connection: sa.Connection,
    *,
    state: DeliveryState | None,
    provider: str | None,
    job_id: str | None,
    limit: int,
    cursor: str | None,
) -> DeliveryPage:
    """Raises InvalidInput for a damaged cursor or a limit outside 0 to 1000."""
    if not 0 <= limit <= MAX_LIMIT:
        raise InvalidInput.field("limit", f"must be 0 to {MAX_LIMIT}")
    statement = sa.select(*_HEAD).order_by(_inbox.c.id.desc()).limit(limit + 1)
    if state is not None:
        statement = statement.where(_inbox.c.state == state)
    if provider is not None:
        statement = statement.where(_inbox.c.provider == short_text(provider, 50))
    if job_id is not None:
        known = canonical_id(job_id)
        statement = statement.where(sa.false() if known is None else _inbox.c.job_id == known)
    if cursor is not None:
        statement = statement.where(_inbox.c.id < _place(cursor))
    rows = connection.execute(statement).all()
    more = len(rows) > limit > 0
    rows = rows[:limit]
    return DeliveryPage(
        deliveries=tuple(_delivery(row, None) for row in rows), next_cursor=str(rows[-1].id) if more else None
    )


def read_delivery(connection: sa.Connection, delivery_id: int) -> DeliveryRow:
    """One with its body. Raises NotFound."""
    number = min(max(delivery_id, 0), MAX_BIG_INT)
    row = connection.execute(sa.select(_inbox).where(_inbox.c.id == number)).first()
    if row is None:
        raise NotFound(f"there is no webhook delivery {delivery_id}", delivery_id=delivery_id)
    return _delivery(row, row.body)


def read_newest_delivery(connection: sa.Connection, provider: str, provider_id: str) -> DeliveryRow | None:
    """The applied one that came last, with its body."""
    statement = (
        sa.select(_inbox)
        .where(
            _inbox.c.provider == short_text(provider, 50),
            _inbox.c.provider_id == short_text(provider_id, 255),
            _inbox.c.state == "applied",
        )
        .order_by(_inbox.c.id.desc())
        .limit(1)
    )
    row = connection.execute(statement).first()
    return None if row is None else _delivery(row, row.body)


def _place(cursor: str) -> int:
    try:
        return min(max(int(cursor), 0), MAX_BIG_INT)
    except ValueError:
        raise InvalidInput.field("cursor", "is damaged; start again without one") from None


def _delivery(row: Any, body: str | None) -> DeliveryRow:
    return DeliveryRow(
        id=row.id,
        provider=row.provider,
        delivery_id=row.delivery_id,
        received_at=row.received_at,
        provider_id=row.provider_id,
        job_id=row.job_id,
        item=row.item,
        status=row.status,
        state=row.state,
        problem=row.problem,
        body=body,
    )
