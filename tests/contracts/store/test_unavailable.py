"""A database that is away, locked, full or not set up says so, and works again afterwards."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.contracts.store.conftest import NOW, RUN, Store, epoch_row, job_id, log_lines
from tests.fixtures.postgres import PostgresServer
from thornback.errors import SettingsError, StoreUnavailable
from thornback.store.bulk import BulkWriter
from thornback.store.engine import Limits, open_engine
from thornback.store.guard import store_errors
from thornback.store.page import JobQuery
from thornback.store.read import StoreReader
from thornback.store.write import StoreWriter


@pytest.fixture
def sqlite_store(tmp_path: Path, _sqlite_template: Path) -> Store:
    """The same, on SQLite alone."""
    path = tmp_path / "thornback.db"
    path.write_bytes(_sqlite_template.read_bytes())
    url = f"sqlite:///{path}"
    engine = open_engine(url, writer=True)
    return Store(url, engine, StoreWriter(engine), StoreReader(open_engine(url)))


def test_no_tables(empty_url: str) -> None:
    reader, writer = StoreReader(open_engine(empty_url)), StoreWriter(open_engine(empty_url, writer=True))
    for call in (reader.ping, lambda: reader.jobs(JobQuery()), writer.latest_event_id, lambda: writer.set_queue({})):
        with pytest.raises(StoreUnavailable, match="thornback db upgrade"):
            call()
    reader.close()
    writer.close()


def test_sqlite_locked_by_another_program(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thornback.store.engine.BUSY_TIMEOUT_MS", 50)
    impatient = StoreWriter(open_engine(sqlite_store.url, writer=True))
    make = sqlite_store.create()
    other = sqlite3.connect(sqlite_store.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked") as caught:
        impatient.commit([epoch_row(make, 1)])
    assert "locked" in caught.value.details["reason"]
    assert sqlite_store.reader.job(job_id(make)).state.job_name == "run"  # readers are not held up
    other.execute("ROLLBACK")
    other.close()
    assert len(impatient.commit([epoch_row(make, 1)]).events) == 1
    impatient.close()


def test_sqlite_disk_full(sqlite_store: Store) -> None:
    make = sqlite_store.create()

    @sa.event.listens_for(sqlite_store.engine, "begin")
    def no_more_pages(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the present size as the least

    big = [log_lines(make, n, "x" * 5000) for n in range(50)]
    with pytest.raises(StoreUnavailable, match="full"):
        sqlite_store.writer.commit(big)
    sa.event.remove(sqlite_store.engine, "begin", no_more_pages)
    sqlite_store.writer.close()  # the limit belongs to the connection
    assert sqlite_store.count("job_logs") == 0
    assert len(sqlite_store.writer.commit(big).events) == 50


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "thornback.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        StoreReader(open_engine(f"sqlite:///{tmp_path / 'thornback.db'}")).ping()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="folder"):
        open_engine(f"sqlite:///{tmp_path / 'file' / 'thornback.db'}")


def test_postgres_cuts_the_connections_and_comes_back(postgres_url: str) -> None:
    engine = open_engine(postgres_url, writer=True)
    store = Store(postgres_url, engine, StoreWriter(engine), StoreReader(open_engine(postgres_url)))
    make = store.create()

    @sa.event.listens_for(engine, "commit")
    def cut(connection: sa.Connection) -> None:
        name = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [name])

    with pytest.raises(StoreUnavailable):
        store.writer.commit([epoch_row(make, 1)])
    sa.event.remove(engine, "commit", cut)

    assert store.reader.metrics(job_id(make)) == []
    assert len(store.writer.commit([epoch_row(make, 1), make.started(RUN, at=NOW)]).events) == 2
    assert len(store.reader.metrics(job_id(make))) == 1
    store.writer.close()
    store.reader.close()


def test_readers_survive_a_restart_of_postgres(postgres_url: str) -> None:
    reader = StoreReader(open_engine(postgres_url))
    reader.ping()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    reader.ping()
    reader.close()


def test_postgres_away(postgres_server: PostgresServer, tmp_path: Path) -> None:
    for url in (
        "postgresql://nobody@127.0.0.1:1/none",
        f"postgresql://nobody@/none?host={tmp_path}",
        postgres_server.url("no_such_database"),
    ):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            StoreReader(open_engine(url)).ping()


def test_a_second_postgres_writer_waits_no_longer_than_it_should(postgres_url: str) -> None:
    first = open_engine(postgres_url, writer=True)
    second = StoreWriter(open_engine(postgres_url, writer=True, limits=Limits(lock_s=0.05)))
    with first.begin() as connection:
        BulkWriter(connection).lock()
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            second.set_queue({})
    second.set_queue({})
    first.dispose()
    second.close()


def test_a_password_is_not_shown(postgres_server: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        StoreReader(open_engine("postgresql://nobody:s3cret@127.0.0.1:1/none")).ping()
    assert not re.search("s3cret", f"{caught.value} {caught.value.details}")


@pytest.mark.parametrize(
    "url", ["", "thornback.db", "sqlite://", "sqlite:///:memory:", "mysql://x/y", "postgresql+asyncpg://x/y"]
)
def test_urls_that_cannot_work(url: str) -> None:
    with pytest.raises(SettingsError, match="THORNBACK_DATABASE_URL"):
        open_engine(url)


def test_our_own_mistakes_are_not_hidden(store: Store) -> None:
    with pytest.raises(sa.exc.IntegrityError), store_errors(), store.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO job_logs (event_id) VALUES (1)"))
