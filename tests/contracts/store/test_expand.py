"""Revisions that the release before can live with: they expand; what contracts says so, and waits for a release.

While a cluster is upgraded, processes of the release before read and write the new tables for a while. So a revision
after 0009 may add tables, columns that may be empty or have a default, and widen texts. What removes, renames or
narrows goes into a revision of a later release that says `contract = "<since when nobody uses it>"`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory

from tests.contracts.store.conftest import Store, epoch_row
from thornback.store.engine import open_engine
from thornback.store.later import build_later
from thornback.store.migrate import alembic_config, migration_connection, upgrade
from thornback.store.tables import METADATA

FIRST_CHECKED = "0010"
LARGE = ("job_events", "job_logs", "training_metrics", "training_jobs", "job_items", "webhook_messages")

_RULES = {
    r"\bDROP (TABLE|COLUMN|SEQUENCE|CONSTRAINT)\b": "removes what the release before may use",
    r"\bRENAME\b": "the release before knows the old name only",
    r"\bSET NOT NULL\b": "the release before may leave it empty",
    r"\bADD COLUMN (?!.*\bDEFAULT\b).*\bNOT NULL\b": "the release before does not fill it: give it a server default",
    r"\bADD CONSTRAINT (?!.*\bNOT VALID\b)": "reads the whole table under a lock, and may refuse what is written now",
    rf"\bCREATE (UNIQUE )?INDEX (?!CONCURRENTLY).* ON ({'|'.join(LARGE)})\b": "holds up writers: see store/later.py",
    r"\bALTER COLUMN \S+ TYPE (?!VARCHAR)": "may read and write the whole table under a lock",
}
_WIDENED = re.compile(r"ALTER TABLE (\S+) ALTER COLUMN (\S+) TYPE VARCHAR\((\d+)\)")
_NEW = re.compile(r"CREATE TABLE (\S+)")


def problems(statements: list[str], lengths: Mapping[tuple[str, str], int | None]) -> list[str]:
    """What the release before could not live with; `lengths` of texts before, by table and column."""
    new = {match[1] for statement in statements if (match := _NEW.search(statement))}
    found = []
    for statement in (" ".join(statement.split()) for statement in statements):
        if any(re.search(rf"\b(ON|TABLE) {re.escape(table)}\b", statement) for table in new):
            continue
        found += [f"{why}: {statement}" for rule, why in _RULES.items() if re.search(rule, statement)]
        if widened := _WIDENED.search(statement):
            before = lengths.get((widened[1], widened[2]))
            if before is None or int(widened[3]) < before:
                found.append(f"narrows a text: {statement}")
    return found


@contextmanager
def noted(connection: sa.Connection) -> Iterator[list[str]]:
    """The statements that change tables."""
    sent: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.lstrip().split(" ")[0].upper() in {"ALTER", "CREATE", "DROP"}:
            sent.append(statement)

    sa.event.listen(connection, "before_cursor_execute", note)
    yield sent
    sa.event.remove(connection, "before_cursor_execute", note)


def _lengths(connection: sa.Connection) -> dict[tuple[str, str], int | None]:
    query = "SELECT table_name, column_name, character_maximum_length FROM information_schema.columns"
    return {(row[0], row[1]): row[2] for row in connection.exec_driver_sql(query)}


def test_revisions_expand(empty_postgres_url: str) -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    revisions = sorted(script.revision for script in scripts.walk_revisions() if script.revision >= FIRST_CHECKED)
    upgrade(empty_postgres_url, "0009")
    found = []
    for revision in revisions:
        with migration_connection(empty_postgres_url) as connection, noted(connection) as statements:
            lengths = _lengths(connection)
            command.upgrade(alembic_config(connection), revision)
        assert statements, f"{revision} changes nothing"
        if getattr(scripts.get_revision(revision).module, "contract", None) is None:
            found += [f"{revision} {problem}" for problem in problems(statements, lengths)]
    assert found == []


@pytest.mark.parametrize(
    ("statement", "is_refused"),
    [
        ("ALTER TABLE users ADD COLUMN phone VARCHAR(20)", False),
        ("ALTER TABLE users ADD COLUMN shares INTEGER DEFAULT 0 NOT NULL", False),
        ("ALTER TABLE users ADD COLUMN shares INTEGER NOT NULL", True),
        ("ALTER TABLE users DROP COLUMN role", True),
        ("ALTER TABLE users RENAME role TO rank", True),
        ("ALTER TABLE users ALTER COLUMN role SET NOT NULL", True),
        ("ALTER TABLE users ALTER COLUMN role TYPE VARCHAR(100)", False),
        ("ALTER TABLE users ALTER COLUMN role TYPE VARCHAR(5)", True),
        ("ALTER TABLE users ALTER COLUMN role TYPE INTEGER", True),
        ("ALTER TABLE users ADD CONSTRAINT c CHECK (length(role) > 1)", True),
        ("ALTER TABLE users ADD CONSTRAINT c CHECK (length(role) > 1) NOT VALID", False),
        ("CREATE INDEX ix ON users (role)", False),
        ("CREATE UNIQUE INDEX ix ON job_events (kind)", True),
        ("DROP TABLE users", True),
    ],
)
def test_the_check_sees_what_breaks_the_release_before(statement: str, is_refused: bool) -> None:
    assert bool(problems([statement], {("users", "role"): 20})) is is_refused


def test_tables_of_the_revision_itself_are_free() -> None:
    made = ["CREATE TABLE shares (id INTEGER NOT NULL)", "ALTER TABLE shares ADD CONSTRAINT c CHECK (id > 0)"]
    assert problems(made, {}) == []


def test_an_index_is_built_beside_a_writer(store: Store) -> None:
    """A transaction that was begun before it ends afterwards; what was left half-made is made anew."""
    make = store.create()
    store.writer.commit([epoch_row(make, number) for number in range(1, 20)])
    table = METADATA.tables["job_events"]
    index = sa.Index("ix_test_later", table.c.kind, table.c.at)
    engine = open_engine(store.url, writer=True)
    try:
        built: list[str] = []
        thread = threading.Thread(target=lambda: built.extend(build_later(engine, [index])))
        with store.writer._transaction() as tx:
            thread.start()
            tx.commit([epoch_row(make, 20)])
        thread.join()
        assert built == ["ix_test_later"]
        assert build_later(engine, [index]) == []
        assert "ix_test_later" in {found["name"] for found in sa.inspect(engine).get_indexes("job_events")}
        if engine.dialect.name == "postgresql":
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_test_later'::regclass"
                )
            assert build_later(engine, [index]) == ["ix_test_later"]
    finally:
        table.indexes.discard(index)
        engine.dispose()
