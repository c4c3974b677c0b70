"""StoreWriter.commit: what is new is stored once, numbered in order, and folded into the job."""

from __future__ import annotations

import math
import uuid
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from tests.contracts.store.conftest import NOW, RUN, Store, epoch_row, job_id, log_lines, spec, step_row
from thornback.errors import StoreUnavailable
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.reduce import reduce_all
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.store.write import StoreWriter


def test_new_events_get_growing_ids_in_the_given_order(store: Store) -> None:
    make = store.create()
    events = [make.started(RUN, at=NOW), step_row(make, 1, 1), log_lines(make, 1, "a"), epoch_row(make, 1)]

    committed = store.writer.commit(events)

    ids = [event.id for event in committed.events]
    assert ids == sorted(set(ids))
    assert ids[0] > 1  # `created` has the first
    assert [event.kind for event in committed.events] == [event.kind for event in events]
    assert store.writer.latest_event_id() == store.reader.latest_event_id() == ids[-1]


def test_repeats_are_dropped_within_a_commit_and_across(store: Store) -> None:
    make = store.create()
    row, line = epoch_row(make, 1), log_lines(make, 1, "a")

    first = store.writer.commit([row, row, line])
    second = store.writer.commit([line, row, epoch_row(make, 2)])

    assert [event.kind for event in first.events] == [EventKind.METRICS, EventKind.LOG]
    assert [event.data["epoch"] for event in second.events] == [2]
    assert second.events[0].id > first.events[-1].id
    assert store.count("training_metrics") == 2
    assert store.count("job_logs") == 1


def test_the_first_of_two_events_with_one_key_stands(store: Store) -> None:
    make = store.create()
    store.writer.commit([epoch_row(make, 1, {"val_loss": 0.5}), epoch_row(make, 1, {"val_loss": 0.1})])
    assert store.reader.job(job_id(make)).state.best_val_loss == 0.5


def test_a_commit_of_nothing_new_is_empty(store: Store) -> None:
    make = store.create()
    store.writer.commit([epoch_row(make, 1)])
    assert store.writer.commit([epoch_row(make, 1)]).events == ()
    assert store.writer.commit([]).events == ()


def test_the_last_event_of_each_job_carries_the_job(store: Store) -> None:
    one, two = store.create("one"), store.create("two")

    committed = store.writer.commit([epoch_row(one, 1), epoch_row(two, 1), epoch_row(one, 2)])

    assert [event.job is not None for event in committed.events] == [False, True, True]
    assert committed.events[-1].job == committed.jobs[job_id(one)] == store.reader.job(job_id(one)).state


def test_events_of_unknown_and_malformed_jobs_are_dropped(store: Store) -> None:
    make = store.create()
    events = [epoch_row(EventFactory(str(uuid.uuid4())), 1), epoch_row(EventFactory("no-uuid"), 1), epoch_row(make, 1)]
    committed = store.writer.commit(events)
    assert [event.job_id for event in committed.events] == [job_id(make)]
    assert set(committed.jobs) == {job_id(make)}


def test_created_may_come_in_the_same_commit_as_what_follows(store: Store) -> None:
    make = EventFactory(str(uuid.uuid4()))
    events = [make.created(spec(), user="ada", at=NOW), make.started(RUN, at=NOW), epoch_row(make, 1)]
    committed = store.writer.commit(events)
    assert len(committed.events) == 3
    assert store.reader.job(job_id(make)).state == reduce_all(JobState(id=job_id(make)), events)


def test_nothing_changes_the_status_after_the_end(store: Store) -> None:
    make = store.create()
    end = make.failed(RUN, reason=FailureReason.OUT_OF_MEMORY, message="CUDA out of memory", at=NOW)
    store.writer.commit([make.started(RUN, at=NOW), end])

    late = store.writer.commit([make.succeeded(RUN, at=NOW), make.cancelled(at=NOW), make.started(RUN, at=NOW)])
    store.writer.commit([make.pending(RUN, reason="late", at=NOW), epoch_row(make, 3)])

    state = store.reader.job(job_id(make)).state
    assert late.events == ()
    assert (state.status, state.failure) == (JobStatus.FAILED, FailureReason.OUT_OF_MEMORY)
    assert state.error_message == "CUDA out of memory"


def test_the_columns_follow_the_state(store: Store) -> None:
    make = store.create("Überlauf", config={"epochs": 4}, priority=3, tags={"a": "b"})
    store.writer.commit(
        [
            make.scheduled(RUN, submission_id="sub", at=NOW),
            make.started(RUN, at=NOW),
            make.described(RUN, {"dataset_size": 90, "train_samples": 80, "mlflow_run_id": "m"}, seq=0, at=NOW),
            epoch_row(make, 2, {"train_loss": 0.5, "val_loss": 0.4, "val_accuracy": 0.9, "learning_rate": 0.001}),
            make.progress(RUN, seq=1, percent=50, epoch=2, total_epochs=4, eta_seconds=9.0, at=NOW),
            make.artifact(RUN, name="best", type="checkpoint", uri="/runs/x", at=NOW),
            make.artifact(RUN, name="model", type="onnx", uri="/runs/x.onnx", at=NOW),
        ]
    )
    with store.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT * FROM training_jobs")).mappings().one()
    expected = {
        "job_name": "Überlauf",
        "name_key": "überlauf",
        "status": "running",
        "priority": 3,
        "attempt": 1,
        "submission_id": "sub",
        "current_epoch": 2,
        "total_epochs": 4,
        "progress_percent": 50.0,
        "train_loss": 0.5,
        "val_loss": 0.4,
        "val_accuracy": 0.9,
        "train_accuracy": None,
        "learning_rate": 0.001,
        "best_epoch": 2,
        "best_val_loss": 0.4,
        "dataset_size": 90,
        "train_samples": 80,
        "val_samples": None,
        "mlflow_run_id": "m",
        "checkpoint_path": "/runs/x",
        "onnx_model_path": "/runs/x.onnx",
        "model_architecture": "convnext_tiny",
        "error_message": None,
        "completed_at": None,
    }
    assert {name: found[name] for name in expected} == expected


def test_numbers_that_are_none_are_stored_as_none(store: Store) -> None:
    make = store.create()
    values = {"train_loss": math.nan, "val_loss": math.inf, "macro_f1": -math.inf, "val_accuracy": 0.5}
    store.writer.commit([epoch_row(make, 1, values), make.described(RUN, {"x": math.nan}, seq=0, at=NOW)])
    (row,) = store.reader.metrics(job_id(make))
    assert row.values == {"train_loss": None, "val_loss": None, "macro_f1": None, "val_accuracy": 0.5}
    assert store.reader.job(job_id(make)).state.fact("x") is None


def test_times_of_any_zone_are_kept_as_the_same_instant(store: Store) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    make = store.create(at=there)
    committed = store.writer.commit([make.started(RUN, at=there)])
    (event,) = store.reader.events(committed.events[0].id - 1)
    state = store.reader.job(job_id(make)).state
    assert event.at == committed.events[0].at == state.created_at == state.started_at == NOW
    assert event.at.utcoffset() == committed.events[0].at.utcoffset() == timedelta(0)


POISON = {
    "no epoch": {"kind": EventKind.METRICS, "data": {"batch": None, "phase": "val", "values": {}}},
    "text as number": {
        "kind": EventKind.METRICS,
        "data": {"epoch": 1, "batch": None, "phase": "val", "values": {"a": "b"}},
    },
    "epoch too large": {
        "kind": EventKind.METRICS,
        "data": {"epoch": 2**40, "batch": None, "phase": "val", "values": {}},
    },
    "phase too long": {"kind": EventKind.METRICS, "data": {"epoch": 1, "batch": None, "phase": "p" * 21, "values": {}}},
    "lines no list": {"kind": EventKind.LOG, "data": {"attempt": 1, "restart": 0, "rank": 0, "seq": 1, "lines": "abc"}},
    "no percent": {"kind": EventKind.PROGRESS, "data": {"attempt": 1, "restart": 0}},
    "unknown reason": {
        "kind": EventKind.FAILED,
        "data": {"attempt": 1, "restart": 0, "reason": "nobody knows", "message": ""},
    },
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_an_event_that_cannot_be_stored_does_not_hold_up_the_others(store: Store, poison: dict[str, object]) -> None:
    make = store.create()
    bad = replace(make.started(RUN, at=NOW), key="bad", **poison)  # type: ignore[arg-type]
    committed = store.writer.commit([epoch_row(make, 1), bad, epoch_row(make, 2)])
    assert [event.data["epoch"] for event in committed.events] == [1, 2]


def test_text_that_databases_refuse_is_mended(store: Store) -> None:
    """PostgreSQL holds no NUL in text, and half a surrogate pair has no UTF-8 form."""
    make = store.create("a\x00b", user="u\x00\udc80", tags={"k\x00": "v\x00"})
    lines = ["nul \x00", "half \udce9", "both \x00\udce9", "snow ☃"]
    events = [
        log_lines(make, 1, *lines),
        make.described(RUN, {"note\x00": "x\x00", "odd": {1: {2}}, "\udc80": object}, seq=1, at=NOW),
        make.stage(RUN, index=1, name="s\x00" * 500, at=NOW),
        make.metrics(epoch=1, batch=None, phase="v\x00", values={"m\x00": 1.0}, at=NOW),
        replace(make.started(RUN, at=NOW), key="k\x00" * 900, source="s" * 300),
        make.failed(RUN, reason=FailureReason.EXCEPTION, message="m\x00\udc80", at=NOW),
    ]
    committed = store.writer.commit(events)
    assert len(committed.events) == len(events)
    assert store.writer.commit(events).events == ()
    (chunk,) = store.reader.logs(job_id(make))
    assert chunk.lines == ("nul \x00", "half ?", "both \x00?", "snow ☃")
    assert store.reader.events(committed.events[0].id - 1) == [replace(event, job=None) for event in committed.events]
    assert store.reader.job(job_id(make)).state == committed.jobs[job_id(make)]


def test_keys_that_are_too_long_stay_apart(store: Store) -> None:
    make = store.create()
    events = [replace(make.started(RUN, at=NOW), key="k" * 300 + end) for end in ("a", "b", "a")]
    assert len(store.writer.commit(events).events) == 2


def test_a_failed_transaction_changes_nothing_and_is_not_remembered(store: Store) -> None:
    make = store.create()
    store.writer.commit([make.started(RUN, at=NOW)])
    before = store.reader.job(job_id(make))
    cursor = store.reader.latest_event_id()

    def fail(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("the disk is gone"))

    sa.event.listen(store.engine, "commit", fail)
    with pytest.raises(StoreUnavailable, match="the disk is gone"):
        store.writer.commit([epoch_row(make, 7), log_lines(make, 1, "x")])
    sa.event.remove(store.engine, "commit", fail)

    assert store.reader.job(job_id(make)) == before
    assert store.reader.latest_event_id() == cursor
    committed = store.writer.commit([epoch_row(make, 8)])
    assert committed.jobs[job_id(make)].latest["val_loss"].epoch == 8
    assert committed.jobs[job_id(make)].best_epoch == 8  # and not 7, which was never stored
    assert len(store.writer.commit([epoch_row(make, 7)]).events) == 1


def test_a_commit_whose_answer_was_lost_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the database, and the sender, which does not know, sends its events again."""
    make = store.create()
    store.writer.commit([make.started(RUN, at=NOW)])
    commit = store.engine.dialect.do_commit

    def commit_and_lose_the_answer(connection: Any) -> None:
        commit(connection)
        raise sa.exc.OperationalError("COMMIT", {}, Exception("connection reset"))

    monkeypatch.setattr(store.engine.dialect, "do_commit", commit_and_lose_the_answer)
    with pytest.raises(StoreUnavailable, match="connection reset"):
        store.writer.commit([epoch_row(make, 1, {"val_loss": 0.1})])
    monkeypatch.undo()

    committed = store.writer.commit([epoch_row(make, 1, {"val_loss": 0.1}), epoch_row(make, 2, {"val_loss": 0.5})])
    assert [event.data["epoch"] for event in committed.events] == [2]
    assert committed.jobs[job_id(make)].best_epoch == 1
    assert store.reader.job(job_id(make)).state == committed.jobs[job_id(make)]


def test_a_second_writer_is_noticed(store: Store) -> None:
    """A metrics actor that was thought dead and its successor."""
    make = store.create()
    other = StoreWriter(store.engine)
    store.writer.commit([epoch_row(make, 1, {"val_loss": 0.9})])
    other.commit([epoch_row(make, 2, {"val_loss": 0.2}), make.succeeded(RUN, at=NOW)])

    committed = store.writer.commit([epoch_row(make, 3, {"val_loss": 0.5})])

    state = committed.jobs[job_id(make)]
    assert (state.status, state.best_epoch, state.metric("val_loss")) == (JobStatus.COMPLETED, 2, 0.5)
    assert store.reader.job(job_id(make)).state == state


def test_data_of_metrics_and_logs_is_stored_once(store: Store) -> None:
    make = store.create()
    extended = step_row(make, 1, 2)
    extended = replace(extended, data={**extended.data, "step": 40})
    store.writer.commit([step_row(make, 1, 1), log_lines(make, 1, "a"), extended, make.started(RUN, at=NOW)])
    with store.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT kind, data FROM job_events ORDER BY id")).all()
    assert [row.kind for row in rows] == ["created", "metrics", "log", "metrics", "started"]
    assert [row.data is None for row in rows] == [False, True, True, False, False]


def test_many_jobs_in_one_commit(store: Store) -> None:
    makes = [EventFactory(str(uuid.uuid4())) for _ in range(1200)]
    events: list[JobEvent] = [make.created(spec(), user="ada", at=NOW) for make in makes]
    store.writer.commit(events)
    fresh = StoreWriter(store.engine)  # knows no state and has to read them all
    committed = fresh.commit([epoch_row(make, 1) for make in makes])
    assert len(committed.events) == len(committed.jobs) == 1200
    fresh.close()
