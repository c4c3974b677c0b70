"""StoreReader: what is read back is what was committed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.contracts.store.conftest import NOW, RUN, Store, epoch_row, job_id, log_lines, step_row
from thornback.errors import JobNotFound, StoreUnavailable
from thornback.jobs.events import EventKind
from thornback.metrics.port import StreamEvent
from thornback.store.engine import open_engine


def _stored(events: tuple[StreamEvent, ...]) -> list[StreamEvent]:
    return [replace(event, job=None) for event in events]


def test_events_equal_what_the_commit_returned(store: Store) -> None:
    make = store.create(config={"epochs": 3})
    values = {"train_loss": None, "val_loss": 0.25, "macro_f1": 0.5, "gradient_norm": 1e-300, "images_per_second": None}
    extended = step_row(make, 2, 9)
    extended = replace(extended, data={**extended.data, "step": 40, "note": {"a": [1, None, "ü"]}})
    committed = store.writer.commit(
        [
            make.pending(RUN, reason="waiting for 1 GPU", at=NOW),
            make.scheduled(RUN, submission_id="sub", at=NOW),
            make.started(RUN, at=NOW),
            make.stage(RUN, index=0, name="training", at=NOW),
            make.described(RUN, {"class_names": ["a", "b"], "matrix": [[1, 2], [3, 4]]}, seq=1, at=NOW),
            epoch_row(make, 1, values),
            epoch_row(make, 2, {}),
            step_row(make, 1, 0),
            extended,
            log_lines(make, 1, "one", "", "drei ☃", rank=-1),
            log_lines(make, 2),
            make.progress(RUN, seq=1, percent=33.3, epoch=1, total_epochs=3, eta_seconds=None, at=NOW),
            make.artifact(RUN, name="best", type="checkpoint", uri="s3://b/k", size_bytes=2**40, sha256="0", at=NOW),
            make.cancel_requested(user="ada", at=NOW, delete=True),
            make.cancelled(at=NOW),
        ]
    )
    assert len(committed.events) == 15
    first = committed.events[0].id - 1
    assert store.reader.events(first) == _stored(committed.events)
    assert store.reader.events(first, job_id=job_id(make)) == _stored(committed.events)


def test_events_are_read_by_cursor(store: Store) -> None:
    one, two = store.create("one"), store.create("two")
    committed = store.writer.commit([row for n in range(1, 6) for row in (epoch_row(one, n), epoch_row(two, n))])
    events = _stored(committed.events)
    ids = [event.id for event in events]

    assert store.reader.events(ids[3]) == events[4:]
    assert store.reader.events(ids[3], limit=2) == events[4:6]
    assert store.reader.events(ids[3], until=ids[5]) == events[4:6]
    assert store.reader.events(ids[0], job_id=job_id(two), until=ids[5]) == [events[1], events[3], events[5]]
    assert store.reader.events(ids[-1]) == []
    assert store.reader.events(0, job_id=str(uuid.uuid4())) == []


def test_metrics_are_the_newest_in_ascending_order(store: Store) -> None:
    make = store.create()
    rows = [
        row for epoch in range(1, 6) for row in (*(step_row(make, epoch, b) for b in (1, 2)), epoch_row(make, epoch))
    ]
    store.writer.commit(rows)
    job = job_id(make)

    def read(**options: Any) -> list[tuple[int, int | None]]:
        return [(row.epoch, row.batch) for row in store.reader.metrics(job, **options)]

    assert read() == [(epoch, None) for epoch in range(1, 6)]
    assert read(limit=2) == [(4, None), (5, None)]
    assert read(level="step", limit=3) == [(4, 2), (5, 1), (5, 2)]
    assert read(level="all", limit=3) == [(5, 1), (5, 2), (5, None)]
    assert read(level="all", phase="val") == [(epoch, None) for epoch in range(1, 6)]
    assert read(phase="test") == []
    assert read(limit=0) == []


def test_metrics_after_an_id_are_the_next_ones(store: Store) -> None:
    make = store.create()
    store.writer.commit([epoch_row(make, epoch) for epoch in range(1, 8)])
    third = store.reader.metrics(job_id(make))[2]
    page = store.reader.metrics(job_id(make), after_id=third.id, limit=2)
    assert [row.epoch for row in page] == [4, 5]
    assert [row.epoch for row in store.reader.metrics(job_id(make), after_id=page[-1].id)] == [6, 7]


def test_a_metric_row_has_all_its_values(store: Store) -> None:
    make = store.create()
    event = epoch_row(make, 3, {"train_loss": 0.1, "val_loss": 0.2, "macro_f1": 0.3, "learning_rate": None})
    committed = store.writer.commit([event])
    (row,) = store.reader.metrics(job_id(make))
    assert row.id == committed.events[0].id
    assert (row.job_id, row.epoch, row.batch, row.phase, row.at) == (job_id(make), 3, None, "val", event.at)
    assert row.values == event.data["values"]


def test_jobs_that_name_something(store: Store) -> None:
    one, two = (store.create(name, config={"data": f"upload:0%_{name}/x"}) for name in ("one", "two"))
    store.create("upload:0%_one")  # only what it is to do counts
    assert [job.id for job in store.reader.naming("upload:0%_one")] == [job_id(one)]
    assert {job.id for job in store.reader.naming("upload:0%_")} == {job_id(one), job_id(two)}
    assert store.reader.naming("upload:0%%") == []


def test_logs_by_cursor_and_by_tail(store: Store) -> None:
    make = store.create()
    store.writer.commit([log_lines(make, seq, f"{seq}a", f"{seq}b") for seq in range(5)])
    chunks = store.reader.logs(job_id(make))
    assert [chunk.lines for chunk in chunks] == [(f"{seq}a", f"{seq}b") for seq in range(5)]
    assert [chunk.seq for chunk in store.reader.logs(job_id(make), after=chunks[1].id, limit=2)] == [2, 3]
    assert [chunk.lines for chunk in store.reader.logs(job_id(make), tail=3)] == [("3b",), ("4a", "4b")]
    assert store.reader.logs(job_id(make), tail=100) == chunks
    assert store.reader.logs(job_id(make), tail=0) == []


READS: dict[str, Callable[[Store, str], object]] = {
    "job": lambda store, job: store.reader.job(job),
    "metrics": lambda store, job: store.reader.metrics(job),
    "logs": lambda store, job: store.reader.logs(job),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
@pytest.mark.parametrize("job", ["5f0c8c2e-0000-4000-8000-000000000000", "no-uuid", "", "x' OR 1=1", "\x00"])
def test_what_is_not_there_is_not_found(store: Store, read: Callable[[Store, str], object], job: str) -> None:
    with pytest.raises(JobNotFound):
        read(store, job)


def test_events_of_a_malformed_id_are_not_found(store: Store) -> None:
    with pytest.raises(JobNotFound):
        store.reader.events(0, job_id="no-uuid")


@pytest.mark.parametrize("number", [-1, -(2**70), 2**70])
def test_any_number_may_be_asked_for(store: Store, number: int) -> None:
    make = store.create()
    store.writer.commit([epoch_row(make, 1), log_lines(make, 1, "a")])
    wide = 1 if number > 0 else 0
    assert len(store.reader.metrics(job_id(make), limit=number)) == wide
    assert len(store.reader.metrics(job_id(make), after_id=number)) == 1 - wide
    assert (
        len(store.reader.logs(job_id(make), limit=number)) == len(store.reader.logs(job_id(make), tail=number)) == wide
    )
    assert len(store.reader.logs(job_id(make), after=number)) == 1 - wide
    assert len(store.reader.events(0, until=number)) == 3 * wide
    assert len(store.reader.events(number)) == 3 * (1 - wide)


def test_a_job_without_rows_has_none(store: Store) -> None:
    make = store.create()
    assert store.reader.metrics(job_id(make)) == []
    assert store.reader.logs(job_id(make)) == []


def test_an_id_may_be_written_in_capitals(store: Store) -> None:
    make = store.create()
    assert store.reader.job(job_id(make).upper()).state.id == job_id(make)


def test_active_jobs_are_those_that_the_dispatcher_looks_after(store: Store) -> None:
    waiting, running, ended, leaving = (store.create(name) for name in ("waiting", "running", "ended", "leaving"))
    store.writer.commit(
        [
            running.started(RUN, at=NOW),
            ended.succeeded(RUN, at=NOW),
            leaving.cancelled(at=NOW),
            leaving.cancel_requested(user="ada", at=NOW, delete=True),
        ]
    )
    assert {state.job_name for state in store.reader.active()} == {"waiting", "running", "leaving"}
    store.writer.delete(job_id(leaving))
    assert {state.job_name for state in store.reader.active()} == {"waiting", "running"}
    assert job_id(waiting) in {state.id for state in store.reader.active()}


def test_a_reader_cannot_write(store: Store) -> None:
    store.create()
    engine = open_engine(store.url)
    with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM training_jobs")
    engine.dispose()
    assert store.count("training_jobs") == 1


def test_a_reader_does_not_wait_for_the_writer(store: Store) -> None:
    make = store.create()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE training_jobs SET job_name = 'half written'")
        assert store.reader.job(job_id(make)).state.job_name == "run"
        assert store.reader.events(0)[0].kind is EventKind.CREATED


def test_ping(store: Store, tmp_path: Any) -> None:
    store.reader.ping()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE training_jobs RENAME TO elsewhere")
    with pytest.raises(StoreUnavailable, match="db upgrade"):
        store.reader.ping()
