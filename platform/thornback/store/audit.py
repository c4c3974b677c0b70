"""The audit log: added to inside the writer's transaction, and read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from thornback.access.audit import Act, AuditEntry, Head, link
from thornback.store.admit import clean_json, clean_text
from thornback.store.project import without_nul
from thornback.store.tables import PlatformSetting
from thornback.store.tables_access import AuditRow

_log = AuditRow.__table__  # type: ignore[attr-defined]
_settings = PlatformSetting.__table__  # type: ignore[attr-defined]

# The newest entry is also written down here, so that an end that was cut off is seen.
_HEAD = "audit_head"
_IN_CHUNK = 1000


def append_act(connection: sa.Connection, act: Act) -> AuditEntry:
    """Add to the log; `connection` is in a transaction that holds the write lock and does what the act says."""
    head = read_head(connection)
    entry = link(_storable(act), head)
    row = {name: getattr(entry, name) for name in (column.name for column in _log.columns)}
    connection.execute(sa.insert(_log).values(row | {"detail": dict(entry.detail)}))
    kept = {"value": {"seq": entry.seq, "hash": entry.hash}, "set_at": entry.at, "set_by": entry.actor}
    if head.seq:
        connection.execute(sa.update(_settings).where(_settings.c.name == _HEAD).values(kept))
    else:
        connection.execute(sa.insert(_settings).values(kept | {"name": _HEAD}))
    return entry


def read_head(connection: sa.Connection) -> Head:
    """The newest entry as the writer has noted it."""
    row = connection.execute(sa.select(_settings.c.value).where(_settings.c.name == _HEAD)).first()
    return Head() if row is None else Head(row.value["seq"], row.value["hash"])


def read_log(
    connection: sa.Connection,
    *,
    after: int = 0,
    before: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    limit: int,
    newest_first: bool = False,
) -> list[AuditEntry]:
    """Entries by their number; `action` ending in a dot takes all that begin with it."""
    statement = sa.select(_log).where(_log.c.seq > after)
    if before is not None:
        statement = statement.where(_log.c.seq < before)
    for column, wanted in ((_log.c.actor, actor), (_log.c.target, target)):
        if wanted is not None:
            statement = statement.where(column == clean_text(wanted))
    if action is not None:
        named = clean_text(action)
        held = _log.c.action.startswith(named, autoescape=True) if named.endswith(".") else _log.c.action == named
        statement = statement.where(held)
    order = _log.c.seq.desc() if newest_first else _log.c.seq
    return [_entry(row) for row in connection.execute(statement.order_by(order).limit(limit))]


def read_whole_log(connection: sa.Connection) -> Iterator[AuditEntry]:
    """All entries, the oldest first, a thousand at a time."""
    after = 0
    while chunk := read_log(connection, after=after, limit=_IN_CHUNK):
        yield from chunk
        after = chunk[-1].seq


def _storable(act: Act) -> Act:
    """As both databases give it back: without NUL, no longer than the columns, whole microseconds."""
    return Act(
        actor=clean_text(act.actor)[:255],
        action=clean_text(act.action)[:50],
        target=clean_text(act.target)[:255],
        at=act.at,
        detail=without_nul(clean_json(act.detail)),
    )


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        action=row.action,
        target=row.target,
        detail=row.detail,
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
