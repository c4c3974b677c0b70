"""How a SQLite file is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thornback.store.engine import BUSY_TIMEOUT_MS, database_address, open_engine


def _pragma(path: Path, name: str, *, writer: bool) -> Any:
    engine = open_engine(f"sqlite:///{path}", writer=writer)
    with engine.connect() as connection:
        value = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
    engine.dispose()
    return value


def test_a_writer_waits_and_reaches_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "thornback.db"
    assert _pragma(path, "journal_mode", writer=True) == "wal"
    assert _pragma(path, "synchronous", writer=True) == 2  # FULL
    assert _pragma(path, "busy_timeout", writer=True) == BUSY_TIMEOUT_MS
    assert _pragma(path, "foreign_keys", writer=True) == 1


def test_a_reader_only_reads(tmp_path: Path) -> None:
    assert _pragma(tmp_path / "thornback.db", "query_only", writer=False) == 1
    assert _pragma(tmp_path / "thornback.db", "query_only", writer=True) == 0


def test_postgres_urls_get_our_driver() -> None:
    for url in ("postgresql://u:p@h:5433/d?sslmode=require", "postgres://u:p@h:5433/d?sslmode=require"):
        address = database_address(url)
        assert address.drivername == "postgresql+psycopg"
        assert (address.username, address.password, address.host, address.port) == ("u", "p", "h", 5433)
        assert (address.database, address.query["sslmode"]) == ("d", "require")
