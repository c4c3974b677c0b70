"""Bodies of deliveries that newer ones make useless.

Replicate sends the whole log with each webhook of a training: kept, they grow with the square of its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from thornback.store.tables import WebhookDelivery

_inbox = WebhookDelivery.__table__  # type: ignore[attr-defined]

_PASSING = ("starting", "processing")  # what an end repeats whole

# A writer that was away looks at so many of the newest deliveries again.
_LOOK_BACK = 10_000


@dataclass(frozen=True, slots=True)
class Looked:
    """How far the inbox has been looked through."""

    up_to: int  # the row id
    is_done: bool  # False where more may be waiting


def first_look(connection: sa.Connection) -> int:
    """The row id to begin behind."""
    newest = connection.execute(sa.select(sa.func.max(_inbox.c.id))).scalar_one()
    return max((newest or 0) - _LOOK_BACK, 0)


def empty_bodies(connection: sa.Connection, *, after: int, before: datetime, most: int) -> Looked:
    """Empty what applied deliveries said of orders that went on, where a newer one of the same order came.

    The newest of an order, ends and dead letters keep their bodies.

    Args:
        after: the row id behind which newer ones are looked for.
        before: only those count that were received until then; who was told of an older one has read it.
        most: so many are looked at, and no more than twice as many emptied.
    """
    columns = (_inbox.c.id, _inbox.c.received_at)
    rows = connection.execute(sa.select(*columns).where(_inbox.c.id > after).order_by(_inbox.c.id).limit(most)).all()
    young = next((number for number, row in enumerate(rows) if row.received_at >= before), len(rows))
    if young == 0:
        return Looked(after, is_done=True)
    up_to = rows[young - 1].id
    found = connection.execute(_outdated(after, up_to).limit(2 * most)).scalars().all()
    numbers = [number for number in found if number is not None]
    if numbers:
        connection.execute(sa.update(_inbox).where(_inbox.c.id.in_(numbers)).values(body=""))
    if len(found) == 2 * most:
        return Looked(after, is_done=False)
    return Looked(up_to, is_done=young < most)


def _outdated(after: int, up_to: int) -> sa.Select[Any]:
    order = (_inbox.c.provider_id, _inbox.c.provider)
    newer = (
        sa.select(*order, sa.func.max(_inbox.c.id).label("id"))
        .where(
            _inbox.c.id > after, _inbox.c.id <= up_to, _inbox.c.state == "applied", _inbox.c.provider_id.is_not(None)
        )
        .group_by(*order)
        .subquery("newer")
    )
    older = sa.and_(
        _inbox.c.provider_id == newer.c.provider_id,
        _inbox.c.provider == newer.c.provider,
        # written so that the indexes of state and id do not serve, which find nearly all rows
        _inbox.c.id + 0 < newer.c.id,
        _inbox.c.problem.is_(None),
        _inbox.c.status.in_(_PASSING),
        _inbox.c.body != "",
    )
    # An outer join keeps SQLite from reading the inbox first; an order without any gives one empty row.
    return sa.select(_inbox.c.id).select_from(newer.outerjoin(_inbox, older))
