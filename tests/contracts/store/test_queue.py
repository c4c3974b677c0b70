"""The hold of the queue and the jobs that wait in it."""

from __future__ import annotations

from datetime import timedelta

from tests.contracts.store.conftest import NOW, RUN, Store, job_id
from thornback.jobs.events import PLATFORM_ID, EventKind
from thornback.jobs.queue import PauseQueue, QueueHold, ResumeQueue
from thornback.metrics.port import QueuePlace
from thornback.store.page import JobQuery

LATER = NOW + timedelta(hours=1)


def test_a_hold_stays_until_it_is_let_go(store: Store) -> None:
    assert store.reader.queue_hold() is None
    assert not store.writer.hold_queue(ResumeQueue(by="ada", at=NOW))[0]
    assert store.writer.hold_queue(PauseQueue(by="ada", at=NOW, reason="a node is\x00 replaced"))[0]
    assert not store.writer.hold_queue(PauseQueue(by="bob", at=LATER))[0]  # it is held already
    assert store.reader.queue_hold() == QueueHold(by="ada", at=NOW, reason="a node is\ufffd replaced")
    assert store.writer.hold_queue(ResumeQueue(by="bob", at=LATER))[0]
    assert store.reader.queue_hold() is None


def test_a_hold_is_told_to_whoever_follows(store: Store) -> None:
    make = store.create()
    told = [
        store.writer.hold_queue(change)[1].events
        for change in (
            PauseQueue(by="ada", at=NOW, reason="a node is\x00 replaced"),
            PauseQueue(by="bob", at=LATER),
            ResumeQueue(by="bob", at=LATER),
        )
    ]
    assert [[event.data["paused"] for event in events] for events in told] == [[True], [], [False]]
    stored = [event for event in store.reader.events(0) if event.kind is EventKind.QUEUE]
    assert [(event.job_id, event.data["by"], event.data["reason"]) for event in stored] == [
        (PLATFORM_ID, "ada", "a node is\ufffd replaced"),
        (PLATFORM_ID, "bob", ""),
    ]
    assert stored == [event for events in told for event in events]
    assert [event.kind for event in store.reader.events(0, job_id=job_id(make))] == [EventKind.CREATED]


def test_waiting_jobs_stand_by_their_place(store: Store) -> None:
    late, first, second, started, ended = [store.create(name) for name in ("late", "first", "second", "up", "over")]
    store.writer.set_queue({job_id(first): QueuePlace(position=1), job_id(second): QueuePlace(position=2)})
    store.writer.commit([second.prioritized(7, user="ada", at=NOW), second.prioritized(3, user="ada", at=LATER)])
    store.writer.commit([started.scheduled(RUN, submission_id="s", at=NOW), ended.cancelled(at=NOW)])
    rows = store.reader.queue()
    assert [(row.state.job_name, row.state.priority) for row in rows] == [("first", 0), ("second", 3), ("late", 0)]
    assert [row.queue.position if row.queue else None for row in rows] == [1, 2, None]
    assert job_id(late) == rows[2].state.id
    sorted_page = store.reader.jobs(JobQuery(sort="-priority", limit=1))
    assert [row.state.job_name for row in sorted_page.jobs] == ["second"]
