"""StoreWriter.create and delete: one job for one key, and nothing left but a tombstone."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.contracts.store.conftest import NOW, RUN, Store, epoch_row, job_id, log_lines, spec
from thornback.errors import IdempotencyConflict, InvalidInput, JobNotFound
from thornback.jobs.events import EventKind
from thornback.metrics.port import Created, NewJob, QueuePlace
from thornback.store.engine import open_engine
from thornback.store.write import StoreWriter


def new_job(**fields: object) -> NewJob:
    job = NewJob(job_id=str(uuid.uuid4()), spec=spec(), user="ada", at=NOW, idempotency_key="k", request_hash="h")
    return replace(job, **fields)  # type: ignore[arg-type]


def test_a_new_job_is_queued(store: Store) -> None:
    new = new_job(retry_of="4b825dc6", resume_from="s3://b/checkpoint")
    created, committed = store.writer.create(new)
    assert created.is_new
    assert created.job == store.reader.job(new.job_id).state == committed.jobs[new.job_id]
    assert (created.job.status, created.job.created_at, created.job.user) == ("queued", NOW, "ada")
    assert (created.job.retry_of, created.job.resume_from) == ("4b825dc6", "s3://b/checkpoint")
    assert [event.kind for event in committed.events] == [EventKind.CREATED]


def test_the_same_key_and_body_find_the_earlier_job(store: Store) -> None:
    first, _ = store.writer.create(new_job())
    second, committed = store.writer.create(new_job())
    assert second == Created(job=first.job, is_new=False)
    assert committed.events == ()
    assert store.count("training_jobs") == 1


def test_the_same_key_and_another_body_conflict(store: Store) -> None:
    first, _ = store.writer.create(new_job())
    with pytest.raises(IdempotencyConflict) as caught:
        store.writer.create(new_job(request_hash="other"))
    assert caught.value.details["job_id"] == first.job.id
    assert store.count("training_jobs") == 1


def test_keys_belong_to_a_user_and_none_is_no_key(store: Store) -> None:
    news = [new_job(), new_job(user="bob"), new_job(idempotency_key="l"), *[new_job(idempotency_key=None)] * 1]
    assert all(store.writer.create(new)[0].is_new for new in [*news, new_job(idempotency_key=None)])


def test_the_same_id_is_the_same_job(store: Store) -> None:
    """An actor that died after its commit is asked again."""
    new = new_job(idempotency_key=None)
    first, _ = store.writer.create(new)
    again, committed = store.writer.create(new)
    assert again == Created(job=first.job, is_new=False)
    assert committed.events == ()


def test_keys_live_for_a_day_and_do_not_pile_up(store: Store) -> None:
    first, _ = store.writer.create(new_job())
    store.writer.create(new_job(idempotency_key="later", at=NOW + timedelta(hours=24)))
    repeat, _ = store.writer.create(new_job(at=NOW + timedelta(hours=24)))
    assert repeat.job.id == first.job.id
    store.writer.create(new_job(idempotency_key="other", at=NOW + timedelta(days=4)))
    assert store.count("idempotency_keys") == 1
    again, _ = store.writer.create(new_job(at=NOW + timedelta(days=4)))
    assert again.is_new


def test_concurrent_creates_with_one_key_make_one_job(store: Store) -> None:
    """Writers of their own, as two processes have them."""
    found: list[Created] = []
    barrier = threading.Barrier(8)

    def create() -> None:
        writer = StoreWriter(open_engine(store.url, writer=True))
        barrier.wait(10)
        found.append(writer.create(new_job())[0])
        writer.close()

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert sum(created.is_new for created in found) == 1
    assert len({created.job.id for created in found}) == 1
    assert store.count("training_jobs") == store.count("job_events") == 1


def test_an_id_that_is_no_uuid_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="job_id"):
        store.writer.create(new_job(job_id="mine"))


def test_an_incomplete_spec_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="spec"):
        store.writer.create(new_job(spec={"job_name": "x"}))
    assert store.count("training_jobs") == 0


def test_delete_leaves_a_tombstone(store: Store) -> None:
    kept = store.create("kept")
    store.writer.commit([epoch_row(kept, 1), log_lines(kept, 1, "a")])
    created, _ = store.writer.create(new_job())
    gone = created.job.id
    make = type(kept)(gone)
    store.writer.commit([epoch_row(make, 1), log_lines(make, 1, "b"), make.cancelled(at=NOW)])
    store.writer.set_queue({gone: QueuePlace(position=1)})
    cursor = store.reader.latest_event_id()

    deleted = store.writer.delete(gone)

    (tombstone,) = deleted.events
    assert (tombstone.kind, tombstone.job_id, tombstone.job) == (EventKind.DELETED, gone, None)
    assert tombstone.id > cursor
    assert store.reader.events(0, job_id=gone) == [tombstone]
    with pytest.raises(JobNotFound):
        store.reader.job(gone)
    for table in ("training_jobs", "training_metrics", "job_logs"):
        assert store.count(table) == 1
    assert store.count("idempotency_keys") == 0
    assert len(store.reader.events(0, job_id=job_id(kept))) == 3


def test_nothing_comes_back_after_delete(store: Store) -> None:
    new = new_job(idempotency_key=None)
    store.writer.create(new)
    created = store.reader.events(0)[0]
    store.writer.delete(new.job_id)
    make = type(store.create())(new.job_id)

    late = [make.created(new.spec, user="ada", at=NOW), make.started(RUN, at=NOW), epoch_row(make, 1)]
    assert store.writer.commit(late).events == ()
    with pytest.raises(JobNotFound):
        store.writer.create(new)
    assert [event.kind for event in store.reader.events(created.id, job_id=new.job_id)] == [EventKind.DELETED]


def test_ids_grow_over_a_delete(store: Store) -> None:
    make = store.create()
    newest = store.writer.commit([epoch_row(make, 1)]).events[-1].id
    tombstone = store.writer.delete(job_id(make)).events[0].id
    fresh = StoreWriter(store.engine)
    following = fresh.create(new_job())[1].events[0].id
    assert newest < tombstone < following


def test_deleting_what_is_not_there_does_nothing(store: Store) -> None:
    make = store.create()
    store.writer.delete(job_id(make))
    events = store.count("job_events")
    for unknown in (job_id(make), str(uuid.uuid4()), "no-uuid"):
        assert store.writer.delete(unknown).events == ()
    assert store.count("job_events") == events


def test_set_queue_writes_only_what_changes(store: Store) -> None:
    makes = [store.create(str(n)) for n in range(3)]
    places = {job_id(make): QueuePlace(position=n, reason="1 GPU") for n, make in enumerate(makes, 1)}
    store.writer.set_queue(places)
    updates: list[int] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def count(
        connection: object, cursor: object, statement: str, parameters: object, context: object, many: bool
    ) -> None:
        if statement.startswith("UPDATE"):
            updates.append(len(parameters) if many else 1)  # type: ignore[arg-type]

    store.writer.set_queue(places)
    assert updates == []
    store.writer.set_queue(
        {**places, job_id(makes[2]): QueuePlace(position=3), str(uuid.uuid4()): QueuePlace(position=4)}
    )
    assert sum(updates) == 2  # the one that changed, and an id that is not there
