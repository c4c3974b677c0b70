"""Open the database: a SQLite file in WAL mode or PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from thornback.errors import SettingsError, StoreUnavailable
from thornback.settings import Settings

BUSY_TIMEOUT_MS = 10_000  # how long SQLite waits for another writer
CONNECT_TIMEOUT_S = 5
_FIELD = "THORNBACK_DATABASE_URL"

# libpq's, for a server whose machine or network is gone without a word: a connection to it ends within a minute.
_KEEPALIVE: Final = {
    "keepalives_idle": 30,  # s
    "keepalives_interval": 10,  # s
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # ms
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of the connections of one engine."""

    pool: int = 8  # kept open
    overflow: int = 32  # and so many more while they are in use; a web server's thread pool has 40 threads
    statement_s: float = 0.0  # PostgreSQL gives up a statement after so long; 0: never
    lock_s: float = 10.0  # how long a writer waits for another


def engine_of(settings: Settings, *, writer: bool = False) -> sa.Engine:
    """`open_engine` with the limits of the settings, for what serves requests and jobs."""
    limits = Limits(
        pool=settings.database_pool,
        overflow=settings.database_overflow,
        statement_s=settings.database_statement_s,
        lock_s=settings.database_lock_s,
    )
    return open_engine(settings.database_url, writer=writer, limits=limits)


def open_engine(database_url: str, *, writer: bool = False, limits: Limits = Limits()) -> sa.Engine:
    """An engine for reading, or for the one writer.

    A reader's connections cannot write. A writer's transactions take the write lock when they begin
    (SQLite) and reach the disk before they return.

    Args:
        database_url: `sqlite:///path`, `postgresql://…` (psycopg 3).
        writer: True for the one process that changes rows and for migrations.
        limits: of its connections.

    Raises:
        SettingsError: the URL names no database that we know, or its driver is not installed.
        StoreUnavailable: the folder of a SQLite file cannot be made.
    """
    url = database_address(database_url)
    opened = _sqlite if url.get_backend_name() == "sqlite" else _postgres
    return opened(url, writer=writer, limits=limits)


def database_address(database_url: str) -> sa.URL:
    """The URL with our driver in it. Raises SettingsError."""
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise SettingsError.field(_FIELD, "is not a database URL; use sqlite:///path or postgresql://…") from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.database in (None, "", ":memory:"):
            raise SettingsError.field(_FIELD, "SQLite in memory cannot be shared by processes; name a file")
        return url
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise SettingsError.field(_FIELD, f"{url.drivername} is not supported; use sqlite:///path or postgresql://…")


def dump_json(value: Any) -> str:
    """JSON as the database keeps it; what has no JSON form was removed before (see `admit`)."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _sqlite(url: sa.URL, *, writer: bool, limits: Limits) -> sa.Engine:
    folder = Path(url.database or "").expanduser().absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"the database's folder cannot be made: {error}", reason=str(error)) from error
    engine = sa.create_engine(
        url,
        json_serializer=dump_json,
        json_deserializer=orjson.loads,
        pool_size=limits.pool,
        max_overflow=limits.overflow,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
        for pragma in _pragmas(writer=writer):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


def _pragmas(*, writer: bool) -> list[str]:
    common = [f"busy_timeout = {BUSY_TIMEOUT_MS}", "journal_mode = WAL", "foreign_keys = ON", "cache_size = -32768"]
    if not writer:
        return [*common, "query_only = ON"]
    # FULL: a commit survives a power cut. The log file is cut back after a checkpoint.
    return [*common, "synchronous = FULL", "journal_size_limit = 67108864"]


def _postgres(url: sa.URL, *, writer: bool, limits: Limits) -> sa.Engine:
    ours = {"application_name": "thornback", "connect_timeout": CONNECT_TIMEOUT_S, **_KEEPALIVE}
    try:
        engine = sa.create_engine(
            url,
            json_serializer=dump_json,
            json_deserializer=orjson.loads,
            pool_size=limits.pool,
            max_overflow=limits.overflow,
            pool_pre_ping=True,  # a connection that a restart of the server cut is replaced unseen
            connect_args={name: value for name, value in ours.items() if name not in url.query},
        )
    except ModuleNotFoundError as error:
        raise SettingsError.field(_FIELD, f"needs a driver: pip install 'thornback[postgres]' ({error})") from None

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: ConnectionPoolEntry) -> None:
        connection.execute(f"SET statement_timeout = {round(1000 * limits.statement_s)}")
        if writer:
            connection.execute(f"SET lock_timeout = {round(1000 * limits.lock_s)}")
        connection.commit()

    if not writer:
        # both are sent with BEGIN, so that they cost nothing; one snapshot for a page and its total
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    # each statement after the writer's lock must see what the writer before it committed
    return engine.execution_options(isolation_level="READ COMMITTED")
