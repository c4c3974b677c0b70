"""Bring a database to the present tables: Alembic, run from code, with the revisions inside the package.

A new revision is a file in `migrations/versions`; a test compares the tables that the revisions make
with `tables.py` on both engines.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import ConnectionPoolEntry

from thornback.errors import StoreUnavailable
from thornback.store.bulk import BulkWriter
from thornback.store.engine import database_address, open_engine
from thornback.store.guard import store_errors
from thornback.store.later import build_later


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run what is missing, in one transaction; nothing where nothing is. Safe when several processes do it at once.

    Revisions only add, so that the release before goes on beside them (tests/contracts/store/test_expand.py); indexes
    of large tables are built afterwards, beside the writers.

    Raises:
        SettingsError: the URL cannot work.
        StoreUnavailable: the database does not answer, or a newer release has changed it.
    """
    with migration_connection(database_url) as connection:
        _refuse_newer(connection)
        command.upgrade(alembic_config(connection), revision)
    if revision == "head":
        engine = open_engine(database_url, writer=True)
        try:
            build_later(engine)
        finally:
            engine.dispose()


def current_revision(database_url: str) -> str | None:
    """The revision that the database has, None for one without our tables."""
    url = database_address(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return None  # connecting would make the file
    engine = open_engine(database_url)
    try:
        with store_errors(), engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head_revision() -> str:
    """The revision that this release needs."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None  # noqa: S101 - the package holds revisions
    return head


def alembic_config(connection: sa.Connection | None = None) -> Config:
    """What Alembic's commands take; they work inside the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", "thornback.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def migration_connection(database_url: str) -> Iterator[sa.Connection]:
    """A connection that alone may write; its transaction commits at the end."""
    engine = open_engine(database_url, writer=True)
    sqlite = engine.dialect.name == "sqlite"
    if sqlite:
        sa.event.listen(engine, "connect", _foreign_keys_off)
    try:
        with _file_lock(engine) if sqlite else _no_lock(), store_errors(), engine.begin() as connection:
            if not sqlite:
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # another migration may take long
            BulkWriter(connection).lock()
            yield connection
            if sqlite:
                _check_foreign_keys(connection)
    finally:
        engine.dispose()


@contextmanager
def _file_lock(engine: sa.Engine) -> Iterator[None]:
    """Turning a new file to WAL mode is not covered by SQLite's own waiting."""
    path = Path(engine.url.database or "")
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_lock() -> Iterator[None]:
    yield


def _foreign_keys_off(connection: Any, record: ConnectionPoolEntry) -> None:
    # SQLite changes a table by making it anew, and dropping the old one would delete what refers to it
    connection.execute("PRAGMA foreign_keys = OFF").close()


def _check_foreign_keys(connection: sa.Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise StoreUnavailable(f"the migration left {len(broken)} rows that refer to nothing; nothing was changed")


def _refuse_newer(connection: sa.Connection) -> None:
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if present is not None and present not in known:
        raise StoreUnavailable(
            f"the database has revision {present}, which this release does not know; install the newer release",
            revision=present,
        )
