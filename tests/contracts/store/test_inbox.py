"""Deliveries: applied once, kept where nothing can be done with them, and forgotten in time."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.contracts.store.conftest import NOW, RUN, Store, epoch_row, job_id, spec
from tests.contracts.store.test_items import image_set, told
from thornback.errors import InvalidInput, NotFound, StoreUnavailable
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.items import ItemStatus
from thornback.metrics.port import Delivery, NewJob, Receipt
from thornback.store.inbox import DeliveryRow
from thornback.store.write import Arrival, StoreWriter

APPLIED = Receipt(is_new=True, committed=1)
REPEAT = Receipt(is_new=False, committed=0)


def delivery(make: EventFactory | None = None, delivery_id: str = "msg_1", **changes: Any) -> Delivery:
    plain = Delivery(
        provider="replicate",
        delivery_id=delivery_id,
        received_at=NOW,
        provider_id="p1",
        job_id=None if make is None else job_id(make),
        item=1,
        status="succeeded",
        body='{"id": "p1"}',
    )
    return replace(plain, **changes)


def end(make: EventFactory, item: int = 1) -> JobEvent:
    return told(make, item, "succeeded", provider_id="p1", via="webhook")


def receive(store: Store, given: Delivery, *events: JobEvent, new: NewJob | None = None) -> Receipt:
    (receipt,) = store.writer.commit([], [Arrival(delivery=given, events=events, new=new)]).receipts
    return receipt


def inbox(store: Store) -> list[DeliveryRow]:
    return [store.reader.delivery(row.id) for row in store.reader.deliveries().deliveries][::-1]


def new_job(make: EventFactory) -> NewJob:
    return NewJob(job_id=job_id(make), spec=spec("import"), user="ada", at=NOW)


def test_a_delivery_and_its_events_are_kept_together(store: Store) -> None:
    make = image_set(store)
    committed = store.writer.commit([], [Arrival(delivery=delivery(make), events=[end(make)])])
    assert committed.receipts == (APPLIED,)
    assert [event.kind for event in committed.events] == [EventKind.ITEM]
    assert store.reader.items(job_id(make))[0].status is ItemStatus.SUCCEEDED
    (row,) = inbox(store)
    assert row == DeliveryRow(
        id=row.id,
        provider="replicate",
        delivery_id="msg_1",
        received_at=NOW,
        provider_id="p1",
        job_id=job_id(make),
        item=1,
        status="succeeded",
        state="applied",
        problem=None,
        body='{"id": "p1"}',
    )


def test_a_repeat_does_nothing(store: Store) -> None:
    make = image_set(store)
    assert receive(store, delivery(make), end(make)) == APPLIED
    assert receive(store, delivery(make, body="other"), end(make, item=2)) == REPEAT
    assert [row.body for row in inbox(store)] == ['{"id": "p1"}']
    assert len(store.reader.items(job_id(make))) == 1


def test_repeats_within_one_commit_do_nothing(store: Store) -> None:
    make = image_set(store)
    arrivals = [Arrival(delivery=delivery(make), events=[end(make)]) for _ in range(3)]
    assert store.writer.commit([], arrivals).receipts == (APPLIED, REPEAT, REPEAT)
    assert len(inbox(store)) == 1


def test_the_same_number_of_another_provider_is_another_delivery(store: Store) -> None:
    make = image_set(store)
    receive(store, delivery(make), end(make))
    assert receive(store, delivery(make, provider="fal"), end(make, item=2)) == APPLIED


def test_events_that_are_known_already_are_counted_as_none(store: Store) -> None:
    make = image_set(store)
    store.writer.commit([end(make)])
    assert receive(store, delivery(make), end(make)) == Receipt(is_new=True, committed=0)


def test_deliveries_share_a_commit_with_everything_else(store: Store) -> None:
    make = image_set(store)
    rows = [epoch_row(make, 1), epoch_row(make, 2)]
    arrivals = [
        Arrival(delivery=delivery(make, f"msg_{n}"), events=[end(make, item=n), epoch_row(make, 1)]) for n in (1, 2)
    ]
    committed = store.writer.commit([*rows, rows[0]], arrivals)
    assert (committed.direct, len(committed.events)) == (2, 4)
    assert committed.receipts == (APPLIED, APPLIED)
    assert [event.kind for event in committed.events[:2]] == [EventKind.METRICS] * 2


def test_a_delivery_makes_the_job_that_it_belongs_to(store: Store) -> None:
    make = EventFactory(str(uuid.uuid4()))
    receipt = receive(store, delivery(make), make.started(RUN, at=NOW), new=new_job(make))
    assert receipt == Receipt(is_new=True, committed=2)
    assert store.reader.job(job_id(make)).state.job_name == "import"
    second = receive(store, delivery(make, "msg_2"), make.succeeded(RUN, at=NOW), new=new_job(make))
    assert second == APPLIED
    assert store.reader.job(job_id(make)).state.status.is_final


def test_two_deliveries_that_make_one_job_make_it_once(store: Store) -> None:
    make = EventFactory(str(uuid.uuid4()))
    arrivals = [
        Arrival(delivery=delivery(make, "a"), events=[make.started(RUN, at=NOW)], new=new_job(make)),
        Arrival(delivery=delivery(make, "b"), events=[end(make)], new=new_job(make)),
        Arrival(delivery=delivery(make, "c"), events=[end(make, item=2)]),
    ]
    receipts = store.writer.commit([], arrivals).receipts
    assert [receipt.committed for receipt in receipts] == [2, 1, 1]
    assert store.count("training_jobs") == 1


def test_a_delivery_to_nobody_is_a_dead_letter(store: Store) -> None:
    gone, unknown = image_set(store), EventFactory(str(uuid.uuid4()))
    store.writer.delete(job_id(gone))
    receipts = [
        receive(store, delivery(unknown, "a"), end(unknown)),
        receive(store, delivery(gone, "b"), end(gone)),
        receive(store, delivery(gone, "c"), end(gone), new=new_job(gone)),
        receive(store, delivery(None, "d")),
        receive(store, delivery(None, "e", job_id="../../etc")),
        receive(store, delivery(None, "f", problem="no such event type")),
    ]
    problems = [
        f"there is no job {job_id(unknown)}",
        "the job was deleted",
        "the job was deleted",
        "it names no job",
        "there is no job ../../etc",
        "no such event type",
    ]
    assert receipts == [Receipt(is_new=True, committed=0, problem=problem) for problem in problems]
    assert [(row.state, row.problem) for row in inbox(store)] == [("dead", problem) for problem in problems]
    assert store.reader.events(0)[-1].kind is EventKind.DELETED
    assert store.count("training_jobs") == 0
    assert [row.body for row in inbox(store)[:3]] == ['{"id": "p1"}', "", ""]  # nobody needs the words about it


def test_events_of_a_delivery_with_a_problem_are_not_committed(store: Store) -> None:
    make = image_set(store)
    receipt = receive(store, delivery(make, problem="odd"), end(make), new=new_job(make))
    assert (receipt.committed, receipt.problem) == (0, "odd")
    assert store.reader.items(job_id(make)) == []


@pytest.mark.parametrize("change", [{"data": {"item": 1}}, {"job_id": str(uuid.uuid4())}])
def test_a_delivery_is_applied_whole_or_not_at_all(store: Store, change: dict[str, Any]) -> None:
    make = image_set(store)
    bad = replace(end(make, item=2), **change)
    receipt = receive(store, delivery(make), end(make), bad)
    assert receipt.committed == 0
    assert receipt.problem is not None
    assert receipt.problem.startswith("its event item:2:1:end ")
    assert store.reader.items(job_id(make)) == []


def test_a_dead_letter_that_comes_again_is_put_right(store: Store) -> None:
    make = EventFactory(str(uuid.uuid4()))
    assert receive(store, delivery(make), end(make)).problem == f"there is no job {job_id(make)}"
    number = inbox(store)[0].id
    again = receive(store, delivery(make), end(make))
    assert again == Receipt(is_new=False, committed=0, problem=f"there is no job {job_id(make)}")
    store.writer.create(new_job(make))
    later = NOW + timedelta(hours=1)
    assert receive(store, delivery(make, received_at=later), end(make)) == APPLIED
    (row,) = inbox(store)
    assert (row.id, row.state, row.problem, row.received_at) == (number, "applied", None, later)
    assert receive(store, delivery(make), end(make)) == REPEAT


def test_a_dead_letter_and_its_cure_in_one_commit(store: Store) -> None:
    make = image_set(store)
    bad = Arrival(delivery=delivery(make, problem="odd"), events=[])
    good = Arrival(delivery=delivery(make), events=[end(make)])
    receipts = store.writer.commit([], [bad, good, bad]).receipts
    assert [(receipt.is_new, receipt.committed) for receipt in receipts] == [(False, 0), (True, 1), (False, 0)]
    assert [row.state for row in inbox(store)] == ["applied"]


def test_words_about_a_deleted_job_are_forgotten_but_not_that_they_came(store: Store) -> None:
    make, other = image_set(store), image_set(store)
    receive(store, delivery(make, "a"), end(make))
    receive(store, delivery(other, "b"), end(other))
    store.writer.delete(job_id(make))
    assert [row.body for row in inbox(store)] == ["", '{"id": "p1"}']
    assert receive(store, delivery(make, "a"), end(make)) == REPEAT


def test_odd_text_is_kept_as_far_as_a_column_holds_it(store: Store) -> None:
    make = image_set(store)
    odd = "log \x00 \x1b[31m \ud800 " + "é" * 5000
    given = delivery(make, odd, provider_id=odd, status=odd, body=odd, item=2**40)
    assert receive(store, given, end(make)) == APPLIED
    assert receive(store, given, end(make)) == REPEAT
    (row,) = inbox(store)
    assert row.body == "log \N{REPLACEMENT CHARACTER} \x1b[31m ? " + "é" * 5000
    assert (row.item, len(row.status or "")) == (None, 50)
    found = store.reader.newest_delivery("replicate", odd)
    assert found is not None
    assert found.id == row.id


def test_pages_of_deliveries(store: Store) -> None:
    make = image_set(store)
    for n in range(7):
        given = delivery(make, f"msg_{n}", provider="fal" if n == 3 else "replicate")
        receive(store, replace(given, problem="odd" if n % 2 else None))
    seen, cursor = [], None
    for _ in range(3):
        page = store.reader.deliveries(limit=3, cursor=cursor)
        seen += [row.delivery_id for row in page.deliveries]
        cursor = page.next_cursor
    assert (seen, cursor) == ([f"msg_{n}" for n in range(6, -1, -1)], None)
    assert {row.body for row in page.deliveries} == {None}

    def ids(**filters: Any) -> list[str]:
        return [row.delivery_id for row in store.reader.deliveries(**filters).deliveries]

    assert ids(state="dead") == ["msg_5", "msg_3", "msg_1"]
    assert ids(state="applied", provider="replicate", limit=2) == ["msg_6", "msg_4"]
    assert ids(provider="fal") == ["msg_3"]
    assert ids(job_id=job_id(make), state="dead", limit=1) == ["msg_5"]
    assert ids(job_id="no-uuid") == ids(job_id=str(uuid.uuid4())) == []
    assert ids(limit=0) == []


def test_what_a_client_may_ask_wrongly(store: Store) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        store.reader.deliveries(cursor="abc")
    with pytest.raises(InvalidInput, match="limit"):
        store.reader.deliveries(limit=1001)
    for number in (-1, 1, 2**70):
        with pytest.raises(NotFound):
            store.reader.delivery(number)
    assert store.reader.deliveries(cursor=str(2**70)).deliveries == ()


def test_the_newest_delivery_about_an_id(store: Store) -> None:
    make = image_set(store)
    assert store.reader.newest_delivery("replicate", "p1") is None
    receive(store, delivery(make, "a", body="1"), end(make))
    receive(store, delivery(make, "b", body="2"))
    receive(store, delivery(make, "c", body="3", problem="odd"))
    receive(store, delivery(make, "d", body="4", provider_id="p2"))
    found = store.reader.newest_delivery("replicate", "p1")
    assert found is not None
    assert found.body == "2"


def test_dead_letters_are_discarded_and_their_numbers_never_given_again(store: Store) -> None:
    make = image_set(store)
    receive(store, delivery(make, "a"), end(make))
    receive(store, delivery(make, "b", problem="odd"))
    applied, dead = inbox(store)
    for number in (applied.id, dead.id, dead.id, 12345, -1, 2**70):
        store.writer.discard(number)
    assert inbox(store) == [applied]
    receive(store, delivery(make, "b", problem="odd"))
    assert inbox(store)[1].id > dead.id


def test_old_applied_deliveries_are_removed_and_dead_ones_kept(store: Store) -> None:
    make = image_set(store)
    writer = StoreWriter(store.engine, keep_deliveries=timedelta(days=2))

    def bring(*names: str, day: int, problem: str | None = None) -> None:
        at = NOW + timedelta(days=day)
        arrivals = [
            Arrival(delivery=delivery(make, name, received_at=at, problem=problem), events=[]) for name in names
        ]
        writer.commit([], arrivals)

    bring("dead", day=0, problem="odd")
    bring(*(f"old {n}" for n in range(250)), day=0)
    bring("young", day=1)
    bring("now", day=2)  # the old ones are two days old, no more
    assert store.count("webhook_deliveries") == 253
    for name in ("a", "b", "c"):
        bring(name, day=2)
    assert store.count("webhook_deliveries") == 256
    for name in ("d", "e", "f"):  # 100 of them each time: 250 - 300 < 0
        writer.commit([], [Arrival(delivery=delivery(make, name, received_at=NOW + timedelta(days=2.5)), events=[])])
    assert [row.delivery_id for row in inbox(store)] == ["dead", "young", "now", "a", "b", "c", "d", "e", "f"]


def test_nothing_is_half_written(store: Store) -> None:
    make = image_set(store)

    @sa.event.listens_for(store.engine, "commit")
    def fail(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, OSError("power cut"))

    with pytest.raises(StoreUnavailable):
        receive(store, delivery(make), end(make))
    sa.event.remove(store.engine, "commit", fail)
    assert inbox(store) == []
    assert store.reader.items(job_id(make)) == []
    assert receive(store, delivery(make), end(make)) == APPLIED
