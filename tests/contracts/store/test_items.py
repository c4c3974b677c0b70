"""The rows of items: the fold of what was told of them, and how an order is found again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from tests.contracts.store.conftest import NOW, RUN, Store, job_id
from tests.unit.jobs.item_histories import item_deliveries
from thornback.errors import JobNotFound
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.items import ItemState, ItemStatus, reduce_items
from thornback.jobs.status import FailureReason
from thornback.metrics.port import NewJob
from thornback.store.write import StoreWriter

SET = {
    "job_name": "portraits",
    "kind": "image_set",
    "backend": "replicate",
    "priority": 0,
    "tags": {},
    "config": {"character": "Ada", "prompts": ["ada at sea"] * 4},
}


def image_set(store: Store, *, seconds: int = 0) -> EventFactory:
    make = EventFactory(str(uuid.uuid4()))
    new = NewJob(job_id=job_id(make), spec=SET, user="ada", at=NOW + timedelta(seconds=seconds))
    store.writer.create(new)
    return make


def told(make: EventFactory, item: int, status: str, *, order: int = 1, **facts: object) -> JobEvent:
    provider_id = facts.pop("provider_id", None)
    assert provider_id is None or isinstance(provider_id, str)
    provider = str(facts.pop("provider", "replicate"))
    at = NOW + timedelta(seconds=item)
    return make.item(item, order=order, status=status, provider=provider, provider_id=provider_id, at=at, **facts)


# The fixture stays open over the examples on purpose: each has a job of its own.
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(delivery=item_deliveries())
def test_the_rows_are_the_fold_of_their_events(
    store: Store, delivery: tuple[list[JobEvent], list[list[JobEvent]]]
) -> None:
    make = image_set(store)
    history, commits = delivery
    mine = job_id(make)

    def of(events: Sequence[JobEvent]) -> list[JobEvent]:
        return [replace(event, job_id=mine) for event in events]

    for number, events in enumerate(commits):
        writer = store.writer if number % 2 else StoreWriter(store.engine)  # a new one has to read the rows
        writer.commit(of(events))
    expected = reduce_items({}, of(history))
    assert store.reader.items(mine) == [expected[number] for number in sorted(expected)]
    named = {event.data["provider_id"] for event in history} - {None}
    assert {name for name in ("aaa", "bbb", "ccc") if _known_to(store, name, mine)} == named


def _known_to(store: Store, provider_id: str, job: str) -> bool:
    with store.engine.connect() as connection:
        statement = "SELECT job_id FROM provider_orders WHERE provider_id = '" + provider_id + "'"
        return uuid.UUID(job) in {uuid.UUID(str(row)) for row in connection.exec_driver_sql(statement).scalars()}


def test_many_items_in_one_commit(store: Store) -> None:
    make = image_set(store)
    numbers = range(1, 601)
    store.writer.commit([told(make, n, "intended") for n in numbers])
    store.writer.commit([told(make, n, "sent", provider_id=f"p{n}") for n in numbers])
    items = store.reader.items(job_id(make))
    assert [(item.item, item.provider_id, item.status) for item in items] == [
        (n, f"p{n}", ItemStatus.SENT) for n in numbers
    ]
    assert [event.kind for event in store.reader.events(0, job_id=job_id(make), limit=5000)][1:] == [
        EventKind.ITEM
    ] * 1200


def test_what_was_stored_is_read_back(store: Store) -> None:
    make = image_set(store)
    outputs = ["https://replicate.delivery/a.webp", "https://replicate.delivery/b.webp"]
    end = told(make, 1, "succeeded", provider_id="p1", via="webhook", outputs=outputs)
    files = told(make, 1, "stored", uri="s3://b/1.jpg", content_type="image/jpeg", size_bytes=2**40, sha256="a" * 64)
    store.writer.commit([end, files])
    (item,) = store.reader.items(job_id(make))
    assert item == ItemState(
        job_id=job_id(make),
        item=1,
        order=1,
        status=ItemStatus.STORED,
        provider="replicate",
        provider_id="p1",
        ended_at=end.at,
        webhook_at=end.at,
        via="webhook",
        outputs=tuple(outputs),
        uri="s3://b/1.jpg",
        content_type="image/jpeg",
        size_bytes=2**40,
        sha256="a" * 64,
    )


def test_an_order_is_found_by_the_providers_id_also_after_a_newer_one(store: Store) -> None:
    make = image_set(store)
    store.writer.commit(
        [
            told(make, 2, "intended"),
            told(make, 2, "sent", provider_id="first"),
            told(make, 2, "failed", provider_id="first", via="poll", error="NSFW"),
            told(make, 2, "intended", order=2),
            told(make, 2, "sent", order=2, provider_id="second"),
        ]
    )
    second = store.reader.order("replicate", "second")
    assert second == store.reader.items(job_id(make))[0]
    first = store.reader.order("replicate", "first")
    assert first is not None
    assert (first.job_id, first.item, first.order) == (job_id(make), 2, 1)
    assert (first.status, first.error, first.provider_id) == (ItemStatus.FAILED, "NSFW", "first")
    assert store.reader.order("fal", "second") is None
    assert store.reader.order("replicate", "third") is None
    assert store.reader.order("replicate", "x\x00" * 500) is None


def test_an_id_of_any_length_is_found(store: Store) -> None:
    make = image_set(store)
    long = "é" * 5000
    store.writer.commit([told(make, 1, "sent", provider_id=long)])
    found = store.reader.order("replicate", long)
    assert found is not None
    assert found.job_id == job_id(make)


def test_of_two_jobs_with_one_id_the_older_has_the_order(store: Store) -> None:
    younger, older = image_set(store, seconds=5), image_set(store)
    for make in (younger, older):
        store.writer.commit([told(make, 1, "sent", provider_id="same")])
    found = store.reader.order("replicate", "same")
    assert found is not None
    assert found.job_id == job_id(older)


def test_open_orders_are_those_somebody_must_look_after(store: Store) -> None:
    younger, older, ended = image_set(store, seconds=5), image_set(store), image_set(store)
    store.writer.commit(
        [
            told(older, 1, "intended"),
            told(older, 2, "sent", provider_id="b"),
            told(older, 3, "succeeded", provider_id="c", via="webhook"),
            told(older, 4, "failed", provider_id="d", via="webhook"),
            told(older, 5, "stored", uri="/x.jpg"),
            told(older, 6, "intended", provider="fal"),
            told(younger, 1, "processing", provider_id="e"),
            told(ended, 1, "sent", provider_id="f"),
            ended.failed(RUN, reason=FailureReason.PROVIDER_LOST, message="gone", at=NOW),
            ended.cancel_requested(user="ada", at=NOW, delete=True),
        ]
    )
    found = [(item.job_id, item.item) for item in store.reader.open_orders("replicate")]
    assert found == [(job_id(older), 1), (job_id(older), 2), (job_id(older), 3), (job_id(younger), 1)]
    assert [item.item for item in store.reader.open_orders("fal")] == [6]


def test_items_go_with_their_job(store: Store) -> None:
    make, other = image_set(store), image_set(store)
    store.writer.commit([told(make, 1, "sent", provider_id="a"), told(other, 1, "sent", provider_id="b")])
    store.writer.delete(job_id(make))
    assert (store.count("job_items"), store.count("provider_orders")) == (1, 1)
    assert store.reader.order("replicate", "a") is None
    with pytest.raises(JobNotFound):
        store.reader.items(job_id(make))
    assert store.reader.items(job_id(image_set(store))) == []


BAD = {
    "no number": {"item": "1"},
    "number 0": {"item": 0},
    "order 0": {"order": 0},
    "a huge number": {"item": 2**40},
    "no such status": {"status": "paused"},
    "sent without an id": {"status": "sent", "provider_id": None},
    "an id that is no text": {"provider_id": 7},
    "no provider": {"provider": None},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_folded_is_dropped(store: Store, change: dict[str, object]) -> None:
    make = image_set(store)
    good = told(make, 1, "sent", provider_id="a")
    bad = replace(good, key="item:9:9:odd", data={**good.data, **change})
    assert len(store.writer.commit([bad, good]).events) == 1
    assert len(store.reader.items(job_id(make))) == 1


def test_odd_facts_are_kept_as_text_or_left_out(store: Store) -> None:
    make = image_set(store)
    end = told(make, 1, "failed", via="webhook", error={"detail": "nul \x00"}, outputs=[1, None])
    files = told(make, 1, "stored", uri=5, size_bytes="many", sha256="f" * 500)
    store.writer.commit([end, files])
    (item,) = store.reader.items(job_id(make))
    assert (item.uri, item.size_bytes, item.sha256) == ("5", None, "f" * 64)
    assert item.error is not None
    assert "detail" in item.error


def test_items_are_counted_by_status_and_order_for_several_jobs(store: Store) -> None:
    one, other, empty = image_set(store), image_set(store), image_set(store)
    store.writer.commit(
        [
            *(told(one, item, "stored") for item in (1, 2)),
            told(one, 3, "failed"),
            told(one, 4, "failed", order=2),
            told(other, 1, "sent", provider_id="p9"),
        ]
    )
    counts = store.reader.item_counts([job_id(make) for make in (one, other, empty)])
    assert counts == {
        job_id(one): {(ItemStatus.STORED, 1): 2, (ItemStatus.FAILED, 1): 1, (ItemStatus.FAILED, 2): 1},
        job_id(other): {(ItemStatus.SENT, 1): 1},
        job_id(empty): {},
    }
    assert store.reader.item_counts([]) == {}
