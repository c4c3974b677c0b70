"""Whose turn it is to write, and which numbers its events get.

One writer: every transaction holds the write lock alone, and events are numbered from the newest upwards, so that
they become visible in the order of their numbers.

Several writers, on PostgreSQL: each has the jobs of its shard. Transactions of reports hold the write lock together
with those of other shards; whatever looks at more than its own jobs (quotas, idempotency keys, the audit log) holds
it alone. The numbers come from a sequence. For one job they still become visible in their order, because a
shard's transactions follow one another; between jobs they do not. Who reads all jobs in the order of the numbers
stops at `settled_id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import sqlalchemy as sa

from thornback.errors import StoreUnavailable
from thornback.jobs.shards import Shard
from thornback.store.bulk import WRITER_LOCK
from thornback.store.tables import JobEventRow
from thornback.store.tables_shards import RecorderShardRow

_events = JobEventRow.__table__  # type: ignore[attr-defined]
_shards = RecorderShardRow.__table__  # type: ignore[attr-defined]

# The upper 16 bits of the advisory locks that say "I am about to give numbers above this"; the lower 48 hold the
# number, as they do in the ids of metric rows. WRITER_LOCK has none of the upper bits.
_NUMBERING: Final = 0x7468

_LATEST = sa.select(sa.func.max(_events.c.id))
_BUMP = sa.text("SELECT setval('job_event_ids', :newest) FROM job_event_ids WHERE last_value <= :newest")
_ANNOUNCE = sa.text(
    "SELECT pg_advisory_xact_lock_shared(CAST(:numbering AS bigint) << 48 | last_value) FROM job_event_ids"
).bindparams(numbering=_NUMBERING)
_NUMBERS = sa.text("SELECT nextval('job_event_ids') FROM generate_series(1, :count)")
_LOWEST_ANNOUNCED = sa.text(
    "SELECT min((classid::bigint << 32 | objid::bigint) & ((1::bigint << 48) - 1)) FROM pg_locks "
    "WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = :numbering "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
).bindparams(numbering=_NUMBERING)


class Turns(Protocol):
    """How one writer shares its database with others."""

    def claim(self, connection: sa.Connection) -> int:
        """Become the writer in place of whoever was it; the newest event that this one is answerable for."""
        ...

    def newest(self, connection: sa.Connection) -> int:
        """The newest event that this writer is answerable for, 0 where there is none."""
        ...

    def begin(self, connection: sa.Connection, *, shared: bool) -> int:
        """Hold the lock until the transaction ends; `newest`, which does not change meanwhile.

        Args:
            connection: in a new transaction.
            shared: it looks at nothing but the jobs that are this writer's.

        Raises:
            StoreUnavailable: others have taken over.
        """
        ...

    def numbers(self, connection: sa.Connection, last: int, count: int) -> Sequence[int]:
        """Numbers for new events, upwards; all are above `last`, the newest of this transaction."""
        ...

    def end(self, connection: sa.Connection, last: int) -> None:
        """Before the commit of a transaction that wrote events: `last` is the newest of them."""
        ...


class OnlyWriter:
    """The only one, on SQLite or PostgreSQL."""

    def claim(self, connection: sa.Connection) -> int:
        """See Turns."""
        if connection.dialect.name != "sqlite":
            _lock(connection, shared=False)
            connection.execute(sa.delete(_shards))
        return self.newest(connection)

    def newest(self, connection: sa.Connection) -> int:
        """See Turns."""
        # ids are given from here: the newest event is never removed, since a tombstone follows every deletion
        return connection.execute(_LATEST).scalar_one() or 0

    def begin(self, connection: sa.Connection, *, shared: bool) -> int:
        """See Turns."""
        if connection.dialect.name != "sqlite":  # SQLite's BEGIN IMMEDIATE did it already
            _lock(connection, shared=False)
            if connection.execute(sa.select(_shards.c.count).limit(1)).first() is not None:
                raise _taken_over()
        return self.newest(connection)

    def numbers(self, connection: sa.Connection, last: int, count: int) -> Sequence[int]:
        """See Turns."""
        return range(last + 1, last + count + 1)

    def end(self, connection: sa.Connection, last: int) -> None:
        """See Turns."""


class ShardWriter:
    """One of several, on PostgreSQL."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._mine = (_shards.c.number == shard.number, _shards.c.count == shard.count)

    def claim(self, connection: sa.Connection) -> int:
        """See Turns."""
        _lock(connection, shared=False)
        newest = _go_beyond(connection)
        connection.execute(sa.delete(_shards).where(_shards.c.count != self._shard.count))
        row = {"number": self._shard.number, "count": self._shard.count, "last_id": newest}
        if connection.execute(sa.select(_shards.c.last_id).where(*self._mine)).first() is None:
            connection.execute(sa.insert(_shards).values(row))
        return self.newest(connection)

    def newest(self, connection: sa.Connection) -> int:
        """See Turns."""
        return self._row(connection, sa.select(_shards.c.last_id).where(*self._mine))

    def begin(self, connection: sa.Connection, *, shared: bool) -> int:
        """See Turns."""
        _lock(connection, shared=shared)
        if not shared:
            _go_beyond(connection)
        return self._row(connection, sa.select(_shards.c.last_id).where(*self._mine).with_for_update())

    def numbers(self, connection: sa.Connection, last: int, count: int) -> Sequence[int]:
        """See Turns."""
        connection.execute(_ANNOUNCE)  # before the numbers are taken, or nobody would wait for them
        return connection.execute(_NUMBERS, {"count": count}).scalars().all()

    def end(self, connection: sa.Connection, last: int) -> None:
        """See Turns."""
        connection.execute(sa.update(_shards).where(*self._mine).values(last_id=last))

    def _row(self, connection: sa.Connection, statement: sa.Select[tuple[int]]) -> int:
        row = connection.execute(statement).first()
        if row is None:
            raise _taken_over()
        return int(row.last_id)


def turns_of(shard: Shard) -> Turns:
    """As one of so many writers."""
    return OnlyWriter() if shard.is_alone else ShardWriter(shard)


def newest_id(connection: sa.Connection) -> int:
    """The number of the newest event that is visible, 0 where there is none."""
    return connection.execute(_LATEST).scalar_one() or 0


def settled_id(connection: sa.Connection) -> int:
    """The number up to which all events are committed: no other will ever appear below it.

    Whoever reads events up to it must begin a new transaction afterwards, since one that is still going on here
    may not see the last of them.
    """
    newest = newest_id(connection)
    if connection.dialect.name == "sqlite":
        return newest
    # In this order: whoever has taken a lower number than `newest` announced that before `newest` was given, so it is
    # either found now or has ended.
    lowest = connection.execute(_LOWEST_ANNOUNCED).scalar_one()
    return newest if lowest is None else min(newest, int(lowest))


def _lock(connection: sa.Connection, *, shared: bool) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}({WRITER_LOCK})")


def _go_beyond(connection: sa.Connection) -> int:
    """Let the sequence go on after what a writer has numbered that does not use it; the lock is held alone."""
    newest = newest_id(connection)
    connection.execute(_BUMP, {"newest": newest})
    return newest


def _taken_over() -> StoreUnavailable:
    return StoreUnavailable(
        "another number of recorders writes to this database now; restart the platform, with one "
        "THORNBACK_METRICS_SHARDS for all of it"
    )
