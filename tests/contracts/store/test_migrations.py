"""Alembic brings empty and older databases to the tables of this release, on both engines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.contracts.store.conftest import NOW, RUN, Store, epoch_row
from tests.contracts.store.source_database import DONE, FAILED, RUNNING, WAITING, make_source_database
from thornback.errors import StoreUnavailable
from thornback.jobs.events import EventFactory, EventKind
from thornback.jobs.spec import ConvNextSpec, parse_spec
from thornback.jobs.status import FailureReason, JobStatus
from thornback.store.engine import open_engine
from thornback.store.migrate import alembic_config, current_revision, head_revision, migration_connection, upgrade
from thornback.store.migrations.timescale import CREATE, INSTALLED, make_hypertable
from thornback.store.page import JobQuery
from thornback.store.read import StoreReader
from thornback.store.tables import METADATA
from thornback.store.write import StoreWriter


@contextmanager
def _store(url: str) -> Iterator[Store]:
    engine = open_engine(url, writer=True)
    store = Store(url, engine, StoreWriter(engine), StoreReader(open_engine(url)))
    yield store
    store.writer.close()
    store.reader.close()


def _columns(url: str, table: str) -> set[str]:
    engine = open_engine(url)
    columns = {column["name"] for column in sa.inspect(engine).get_columns(table)}
    engine.dispose()
    return columns


@pytest.fixture
def source_url(empty_url: str) -> str:
    """A database in the source's own shape, with rows."""
    if empty_url.startswith("sqlite"):
        Path(empty_url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    make_source_database(empty_url)
    return empty_url


def test_an_empty_database_gets_every_table(empty_url: str) -> None:
    assert current_revision(empty_url) is None
    upgrade(empty_url)
    assert current_revision(empty_url) == head_revision()
    upgrade(empty_url)
    with _store(empty_url) as store:
        store.create()
        assert store.reader.jobs(JobQuery()).total == 1


def test_asking_for_the_revision_makes_no_file(tmp_path: Path) -> None:
    assert current_revision(f"sqlite:///{tmp_path / 'none.db'}") is None
    assert list(tmp_path.iterdir()) == []


def _difference(url: str) -> list[Any]:
    engine = open_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        found = compare_metadata(context, METADATA)
    engine.dispose()
    return list(found)


def test_models_and_migrations_never_differ(database_url: str) -> None:
    assert _difference(database_url) == []


def test_an_adopted_database_has_the_same_tables(source_url: str) -> None:
    upgrade(source_url)
    assert _difference(source_url) == []


def test_the_comparison_sees_a_difference(database_url: str) -> None:
    engine = open_engine(database_url, writer=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE job_logs DROP COLUMN seq")
    engine.dispose()
    assert len(_difference(database_url)) == 1


def test_every_revision_is_passed_one_by_one(empty_url: str) -> None:
    upgrade(empty_url, "0001")
    assert current_revision(empty_url) == "0001"
    assert {"celery_task_id", "config", "val_samples"} <= _columns(empty_url, "training_jobs")
    upgrade(empty_url)
    assert current_revision(empty_url) == head_revision()
    assert _difference(empty_url) == []


def test_rows_of_the_source_are_kept(source_url: str) -> None:
    upgrade(source_url)
    with _store(source_url) as store:
        assert store.reader.jobs(JobQuery()).total == 4
        state = store.reader.job(DONE).state
        assert (state.status, state.progress_percent, state.job_name) == (JobStatus.COMPLETED, 100.0, "My Training Job")
        assert state.created_at == datetime(2025, 11, 1, 23, 51, 16, tzinfo=UTC)
        assert state.completed_at == datetime(2025, 11, 2, 3, 0, 0, 250_000, tzinfo=UTC)
        assert (state.metric("train_loss"), state.metric("val_loss"), state.metric("train_accuracy")) == (
            0.234,
            0.267,
            None,
        )
        assert (state.best_epoch, state.best_val_loss, state.current_epoch, state.total_epochs) == (2, 0.25, 3, 100)
        assert (state.artifact_uri("checkpoint"), state.artifact_uri("onnx")) == (
            "/models/best.ckpt",
            "/models/best.onnx",
        )
        assert [state.fact(name) for name in ("dataset_size", "train_samples", "val_samples")] == [1000, 800, 200]
        assert (state.fact("mlflow_run_id"), state.submission_id) == ("abc", "celery-1")
        spec = parse_spec(state.spec)
        assert isinstance(spec, ConvNextSpec)
        assert spec.config.batch_size == 32

        failed = store.reader.job(FAILED).state
        assert (failed.status, failed.failure) == (JobStatus.FAILED, FailureReason.EXCEPTION)
        assert failed.error_message == "CUDA out of memory. Tried to allocate 2.00 GB..."
        assert {state.id for state in store.reader.active()} == {WAITING, RUNNING}
        assert store.reader.job(WAITING).state.status is JobStatus.PENDING
        assert store.reader.job(RUNNING).state.status is JobStatus.RUNNING


def test_metric_rows_of_the_source_are_kept(source_url: str) -> None:
    upgrade(source_url)
    with _store(source_url) as store:
        rows = store.reader.metrics(DONE, level="all")
        assert [(row.epoch, row.batch, row.values["val_loss"]) for row in rows] == [
            (1, None, 1.5),
            (2, None, 0.75),
            (3, None, 0.5),
            (3, None, 9.0),
            (1, 7, 1.5),
        ]
        assert rows[0].values == {"train_loss": 1.0, "val_loss": 1.5, "gradient_norm": 0.5}
        assert rows[0].at == datetime(2025, 11, 2, 1, tzinfo=UTC)
        assert (rows[0].phase, rows[4].phase) == ("val", "")
        assert store.count("training_metrics") == 6  # the one that belongs to no job is kept as well

        events = store.reader.events(0, job_id=DONE)
        kinds = [EventKind.CREATED, *[EventKind.METRICS] * 5, EventKind.SUCCEEDED]
        assert [event.kind for event in events] == kinds
        assert [event.data["epoch"] for event in events[1:-1]] == [1, 2, 3, 3, 1]


def test_jobs_of_the_source_go_on(source_url: str) -> None:
    """New events continue the numbers, and what the old rows told is told once."""
    upgrade(source_url)
    with _store(source_url) as store:
        newest = store.reader.latest_event_id()
        make = EventFactory(RUNNING)
        late = EventFactory(DONE)
        repeat = late.metrics(epoch=2, batch=None, phase="val", values={"val_loss": 0.0}, at=NOW)
        committed = store.writer.commit(
            [
                epoch_row(make, 3),
                repeat,
                late.cancelled(at=NOW),
                make.failed(RUN, reason=FailureReason.DRIVER_LOST, message="gone", at=NOW),
            ]
        )
        assert [event.id for event in committed.events] == [newest + 1, newest + 4]
        assert store.reader.job(RUNNING).state.status is JobStatus.FAILED
        assert store.reader.job(DONE).state.status is JobStatus.COMPLETED
        assert store.writer.delete(DONE).events[0].kind is EventKind.DELETED
        assert store.count("training_metrics") == 2


def test_many_rows_are_copied_in_pages(source_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thornback.store.migrations.source_rows._BATCH", 2)
    upgrade(source_url)
    with _store(source_url) as store:
        assert len(store.reader.metrics(DONE, level="all")) == 5


def test_a_failed_upgrade_changes_nothing(source_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: sa.Connection) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("thornback.store.migrations.source_rows.copy_source", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        upgrade(source_url)
    assert current_revision(source_url) is None
    assert "celery_task_id" in _columns(source_url, "training_jobs")
    monkeypatch.undo()
    upgrade(source_url)
    assert "submission_id" in _columns(source_url, "training_jobs")


def test_what_events_brought_refuses_to_be_undone(database_url: str) -> None:
    with pytest.raises(NotImplementedError, match="backup"), migration_connection(database_url) as connection:
        command.downgrade(alembic_config(connection), "0001")
    assert current_revision(database_url) == head_revision()


_ADDED = {"trigger_word", "captioning", "predict_time", "provider", "trainer", "cost_usd"}


def _job_rows(url: str) -> list[dict[str, Any]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM training_jobs ORDER BY id").mappings().all()
    engine.dispose()
    return [dict(row) for row in rows]


def test_jobs_of_the_release_before_are_kept_as_they_are(source_url: str) -> None:
    upgrade(source_url, "0002")
    before = _job_rows(source_url)
    assert not _ADDED & before[0].keys()
    upgrade(source_url)
    after = _job_rows(source_url)
    assert [{name: row[name] for name in before[0]} for row in after] == before
    assert {value for row in after for name, value in row.items() if name not in before[0]} == {None}
    with _store(source_url) as store:
        assert store.reader.job(DONE).state.job_name == "My Training Job"
        store.writer.commit([epoch_row(EventFactory(RUNNING), 3)])


def test_remote_work_can_be_undone(source_url: str) -> None:
    upgrade(source_url)
    with migration_connection(source_url) as connection:
        command.downgrade(alembic_config(connection), "0002")
    assert not _ADDED & _columns(source_url, "training_jobs")
    assert len(_job_rows(source_url)) == 4
    upgrade(source_url)
    assert _difference(source_url) == []


def test_the_indexes_that_reports_need_are_there(database_url: str) -> None:
    engine = open_engine(database_url)
    indexes = sa.inspect(engine).get_indexes("training_jobs")
    engine.dispose()
    assert {"trigger_word", "completed_at", "status"} <= {index["column_names"][0] for index in indexes}


def test_the_first_revision_can_be_undone(empty_url: str) -> None:
    upgrade(empty_url, "0001")
    with migration_connection(empty_url) as connection:
        command.downgrade(alembic_config(connection), "base")
    assert current_revision(empty_url) is None
    upgrade(empty_url)


def test_a_newer_database_is_refused(database_url: str) -> None:
    engine = open_engine(database_url, writer=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(StoreUnavailable, match="newer release"):
        upgrade(database_url)


def test_processes_that_upgrade_at_once(source_url: str) -> None:
    code = "import sys; from thornback.store.migrate import upgrade; upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, source_url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    with _store(source_url) as store:
        assert store.reader.jobs(JobQuery()).total == 4
        assert len(store.reader.metrics(DONE, level="all")) == 5


def _statements(url: str, *, timescale: bool) -> tuple[bool, list[str]]:
    """What `make_hypertable` sends; with `timescale` the extension's catalogue row is answered by a stand-in table."""
    engine = open_engine(url, writer=True)
    sent: list[str] = []

    @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
    def note(
        connection: object, cursor: object, statement: str, parameters: object, context: object, many: bool
    ) -> tuple[str, object]:
        sent.append(statement)
        if not timescale:
            return statement, parameters
        return ("SELECT 1" if statement == INSTALLED else "SELECT 2" if statement == CREATE else statement), parameters

    with engine.begin() as connection:
        made = make_hypertable(connection)
    engine.dispose()
    return made, [statement for statement in sent if not statement.startswith("BEGIN")]


def test_without_timescale_nothing_happens(database_url: str) -> None:
    made, sent = _statements(database_url, timescale=False)
    assert not made
    assert sent == ([] if database_url.startswith("sqlite") else [INSTALLED])


def test_with_timescale_the_table_becomes_a_hypertable(postgres_url: str) -> None:
    """The extension cannot be installed here, so its two statements are checked and answered in its place."""
    made, sent = _statements(postgres_url, timescale=True)
    assert made
    # docs.tigerdata.com: create_hypertable(relation, dimension, create_default_indexes, if_not_exists, migrate_data)
    assert sent == [
        "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'",
        "SELECT create_hypertable('training_metrics', by_range('timestamp', INTERVAL '7 days'), "
        "create_default_indexes => FALSE, if_not_exists => TRUE, migrate_data => TRUE)",
    ]


def test_a_hypertable_is_possible(database_url: str) -> None:
    """Timescale wants the time in every unique constraint of the table."""
    engine = open_engine(database_url)
    inspector = sa.inspect(engine)
    assert inspector.get_pk_constraint("training_metrics")["constrained_columns"] == ["timestamp", "id"]
    assert inspector.get_unique_constraints("training_metrics") == []
    assert not any(index["unique"] for index in inspector.get_indexes("training_metrics"))
    engine.dispose()
