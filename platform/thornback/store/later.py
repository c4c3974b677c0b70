"""Indexes of tables that may be large: made after a migration, while everybody reads and writes.

A new index of such a table stands in `tables.py` with `info={"later": True}` and in no revision: within a
migration's transaction it would hold up all writers until it is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import sqlalchemy as sa

from thornback.log import get_logger
from thornback.store.guard import store_errors
from thornback.store.tables import METADATA

# Held by whoever builds. Nobody waits for it: PostgreSQL would wait for the waiting transaction in its turn.
_BUILDER_LOCK: Final = 0x7468_6F72_6E63

_IS_VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_log = get_logger("store")


def indexes_for_later() -> Iterator[sa.Index]:
    """Those of the tables."""
    for table in METADATA.sorted_tables:
        yield from (index for index in table.indexes if index.info.get("later"))


def build_later(engine: sa.Engine, indexes: Iterable[sa.Index] | None = None) -> list[str]:
    """Build what is missing, and again what a process that died had begun; the names of those built.

    Does nothing where another process is at it. Raises StoreUnavailable.
    """
    wanted = list(indexes_for_later() if indexes is None else indexes)
    if not wanted:
        return []
    if engine.dialect.name == "sqlite":
        with store_errors(), engine.begin() as connection:
            return [str(index.name) for index in wanted if _made(connection, index)]
    with store_errors(), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(_BUILDER_LOCK))).scalar_one():
            return []
        try:
            connection.exec_driver_sql("SET lock_timeout = 0")  # it waits for every transaction that began before it
            return [str(index.name) for index in wanted if _built(connection, index)]
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_BUILDER_LOCK)))


def _made(connection: sa.Connection, index: sa.Index) -> bool:
    if index.name in {found["name"] for found in sa.inspect(connection).get_indexes(_table(index).name)}:
        return False
    connection.execute(sa.schema.CreateIndex(index))
    return True


def _built(connection: sa.Connection, index: sa.Index) -> bool:
    is_valid = connection.execute(_IS_VALID, {"name": index.name}).scalar()
    if is_valid:
        return False
    name = connection.dialect.identifier_preparer.format_index(index)
    if is_valid is not None:
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {name}")
    _log.info("building an index", index=index.name)
    statement = str(sa.schema.CreateIndex(index).compile(connection))
    connection.exec_driver_sql(statement.replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
    return True


def _table(index: sa.Index) -> sa.Table:
    assert index.table is not None  # noqa: S101 - it belongs to METADATA
    return index.table
