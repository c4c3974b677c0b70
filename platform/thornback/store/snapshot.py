"""The whole database as files, taken while it is written to, and put back.

SQLite: its online backup, one file. PostgreSQL: each table by COPY, all in one snapshot; its tools are not
needed, whose releases refuse servers newer than themselves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from psycopg import sql

from thornback.errors import Conflict, StoreUnavailable
from thornback.store.bulk import BulkWriter
from thornback.store.engine import BUSY_TIMEOUT_MS, database_address, open_engine
from thornback.store.guard import store_errors
from thornback.store.migrate import current_revision, head_revision, upgrade
from thornback.store.references import references
from thornback.store.tables import METADATA

_SQLITE_FILE = "thornback.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The database at one moment."""

    dialect: str  # sqlite, postgresql
    revision: str  # of its tables
    rows: Mapping[str, int]  # by table
    references: frozenset[str]  # files that rows name: addresses, and keys below the storage


def take_snapshot(database_url: str, folder: Path) -> Snapshot:
    """Write the database into an empty folder. Whoever writes to it meanwhile is not held up.

    Raises:
        Conflict: its tables are not those of this release.
        StoreUnavailable: it does not answer.
    """
    revision = current_revision(database_url)
    if revision is None or revision != head_revision():
        raise Conflict("the database does not have the tables of this release; run `thornback db upgrade` first")
    sqlite = database_address(database_url).get_backend_name() == "sqlite"
    return (_take_sqlite if sqlite else _take_postgres)(database_url, folder, revision)


def put_snapshot(database_url: str, folder: Path, snapshot: Mapping[str, Any], *, replace: bool) -> None:
    """Make the database what `take_snapshot` saw, and bring it to the tables of this release.

    Args:
        database_url: where to; nobody else may use it.
        folder: what `take_snapshot` wrote.
        snapshot: its `dialect` and `revision`.
        replace: also where rows are there already, which then go.

    Raises:
        Conflict: rows are there, or it is another kind of database.
        StoreUnavailable: it does not answer.
    """
    dialect = "sqlite" if database_address(database_url).get_backend_name() == "sqlite" else "postgresql"
    if dialect != snapshot["dialect"]:
        raise Conflict(f"the backup is one of {snapshot['dialect']}, and THORNBACK_DATABASE_URL names {dialect}")
    if not replace and has_rows(database_url):
        raise Conflict("the database has rows already; name an empty one, or say --replace")
    if dialect == "sqlite":
        _put_sqlite(database_url, folder)
    else:
        _put_postgres(database_url, folder, str(snapshot["revision"]))
    upgrade(database_url)


def has_rows(database_url: str) -> bool:
    """Whether any of our tables holds something. Raises StoreUnavailable."""
    if current_revision(database_url) is None:
        return False
    engine = open_engine(database_url)
    try:
        with store_errors(), engine.connect() as connection:
            present = set(sa.inspect(connection).get_table_names())
            tables = [table for table in METADATA.sorted_tables if table.name in present]
            return any(connection.execute(sa.select(sa.literal(1)).select_from(t).limit(1)).first() for t in tables)
    finally:
        engine.dispose()


def _take_sqlite(database_url: str, folder: Path, revision: str) -> Snapshot:
    path = folder / _SQLITE_FILE
    source = Path(database_address(database_url).database or "").expanduser().absolute()
    with _sqlite_errors(), closing(_open(source)) as live, closing(_open(path)) as copy:
        live.backup(copy)  # all pages within one read transaction
        copy.execute("PRAGMA journal_mode = DELETE").close()  # one file, nothing beside it
        _check(copy)
    engine = open_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            return _described("sqlite", revision, connection)
    finally:
        engine.dispose()
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _put_sqlite(database_url: str, folder: Path) -> None:
    target = Path(database_address(database_url).database or "").expanduser().absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _sqlite_errors(), closing(_open(folder / _SQLITE_FILE)) as copy, closing(_open(target)) as live:
        _check(copy)
        copy.backup(live)  # in one transaction: a crash leaves what was there


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database cannot be copied: {error}", reason=str(error)) from error


def _take_postgres(database_url: str, folder: Path, revision: str) -> Snapshot:
    engine = open_engine(database_url)  # its transactions are REPEATABLE READ and change nothing
    try:
        with store_errors(), engine.connect() as connection:
            snapshot = _described("postgresql", revision, connection)  # the first statement fixes the moment
            with _cursor(connection) as cursor:
                for table in METADATA.sorted_tables:
                    _dump(cursor, table, folder / table.name)
            return snapshot
    finally:
        engine.dispose()


def _dump(cursor: Any, table: sa.Table, file: Path) -> None:
    # of a SELECT: of a hypertable COPY itself would give no rows
    query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_columns(table), _name(table))
    with cursor.copy(query) as copy, file.open("wb") as rows:
        rows.writelines(copy)


def _put_postgres(database_url: str, folder: Path, revision: str) -> None:
    present = current_revision(database_url)
    if present not in (None, revision):
        raise Conflict(f"the database has tables of revision {present} and the backup of {revision}; name an empty one")
    upgrade(database_url, revision)
    engine = open_engine(database_url, writer=True)
    try:
        with store_errors(), engine.begin() as connection:
            BulkWriter(connection).lock()
            tables = [table for table in METADATA.sorted_tables if (folder / table.name).exists()]
            with _cursor(connection) as cursor:
                cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(_name, tables))))
                for table in tables:
                    _fill(cursor, table, folder / table.name)
    finally:
        engine.dispose()


def _fill(cursor: Any, table: sa.Table, file: Path) -> None:
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(_name(table), _columns(table))
    with cursor.copy(query) as copy, file.open("rb") as rows:
        while piece := rows.read(1 << 20):
            copy.write(piece)
    for column in table.primary_key.columns:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table.name, column.name])
        sequence = cursor.fetchone()[0]
        if sequence is not None:  # the next number is one that was not given yet
            greatest = sql.SQL("SELECT setval(%s, (SELECT coalesce(max({}), 0) + 1 FROM {}), false)")
            cursor.execute(greatest.format(sql.Identifier(column.name), _name(table)), [sequence])


def _described(dialect: str, revision: str, connection: sa.Connection) -> Snapshot:
    rows = dict(_counts(connection))
    return Snapshot(dialect=dialect, revision=revision, rows=rows, references=frozenset(references(connection)))


def _counts(connection: sa.Connection) -> Iterator[tuple[str, int]]:
    for table in METADATA.sorted_tables:
        yield table.name, connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _cursor(connection: sa.Connection) -> Any:
    return connection.connection.cursor()


def _name(table: sa.Table) -> sql.Identifier:
    return sql.Identifier(table.name)


def _columns(table: sa.Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
