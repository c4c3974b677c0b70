"""Items: whatever the order in which their events are told, they end up the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given

from tests.unit.jobs.item_histories import BEGIN, JOB_ID, item_deliveries
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.items import ItemState, ItemStatus, reduce_item, reduce_items

MAKE = EventFactory(JOB_ID)


def told(status: str, *, order: int = 1, second: int = 0, provider_id: str | None = None, **facts: object) -> JobEvent:
    at = BEGIN + timedelta(seconds=second)
    return MAKE.item(1, order=order, status=status, provider="fal", provider_id=provider_id, at=at, **facts)


def fold(*events: JobEvent) -> ItemState:
    return reduce_items({}, events)[1]


@given(delivery=item_deliveries())
def test_order_repeats_and_batches_do_not_matter(delivery: tuple[list[JobEvent], list[list[JobEvent]]]) -> None:
    history, batches = delivery
    items: dict[int, ItemState] = {}
    for batch in batches:
        items = reduce_items(items, batch)
    assert items == reduce_items({}, history)


def test_the_life_of_an_order() -> None:
    events = [
        told("intended", second=0),
        told("sent", second=1, provider_id="abc"),
        told("processing", second=2, provider_id="abc"),
        told("succeeded", second=3, provider_id="abc", via="webhook", outputs=["https://fal.media/a.png"]),
        told("stored", second=4, uri="s3://b/a.jpg", content_type="image/jpeg", size_bytes=7, sha256="f" * 64),
    ]
    seen = [fold(*events[: n + 1]).status for n in range(len(events))]
    assert seen == ["intended", "sent", "processing", "succeeded", "stored"]
    assert fold(*events) == ItemState(
        job_id=JOB_ID,
        item=1,
        order=1,
        status=ItemStatus.STORED,
        provider="fal",
        provider_id="abc",
        intended_at=BEGIN,
        sent_at=BEGIN + timedelta(seconds=1),
        ended_at=BEGIN + timedelta(seconds=3),
        webhook_at=BEGIN + timedelta(seconds=3),
        via="webhook",
        outputs=("https://fal.media/a.png",),
        uri="s3://b/a.jpg",
        content_type="image/jpeg",
        size_bytes=7,
        sha256="f" * 64,
    )


def test_a_poll_that_tells_the_end_is_no_webhook() -> None:
    item = fold(told("failed", via="poll", error="out of memory"))
    assert (item.status, item.via, item.webhook_at, item.error) == ("failed", "poll", None, "out of memory")


@pytest.mark.parametrize(
    ("heard_at", "second"),
    [("2026-02-01T01:00:07+01:00", 7), ("soon", 3), (None, 3), (7, 3)],
)
def test_a_webhooks_time_is_that_of_our_clock_where_it_is_told(heard_at: object, second: int) -> None:
    item = fold(told("succeeded", second=3, via="webhook", heard_at=heard_at))
    assert (item.ended_at, item.webhook_at) == (BEGIN + timedelta(seconds=3), BEGIN + timedelta(seconds=second))


def test_the_late_end_of_an_older_order_changes_nothing() -> None:
    now = [told("intended", order=2, second=9), told("sent", order=2, second=10, provider_id="new")]
    late = told("failed", order=1, second=11, provider_id="old", via="webhook", error="lost")
    assert fold(*now, late) == fold(late, *now) == fold(*now)


def test_files_that_are_stored_before_the_end_is_told_keep_the_end() -> None:
    stored = told("stored", uri="s3://b/a.jpg")
    end = told("succeeded", second=1, via="sync")
    assert fold(stored, end) == fold(end, stored)
    assert (fold(stored, end).status, fold(stored, end).via) == (ItemStatus.STORED, "sync")


def test_the_id_that_answered_our_call_stands_whoever_tells_another() -> None:
    events = [
        told("sent", provider_id="ours"),
        told("processing", provider_id="another"),
        told("failed", provider_id="zzz", via="webhook"),
    ]
    assert {fold(*order).provider_id for order in permutations(events)} == {"ours"}
    assert {fold(*order).provider_id for order in permutations(events[1:])} == {"another"}


def test_a_second_end_of_one_order_changes_nothing() -> None:
    """The database admits one; the fold does not depend on it."""
    first = told("succeeded", via="webhook", outputs=["https://fal.media/a.png"])
    second = told("cancelled", second=5, via="poll", error="cancelled")
    assert fold(first, second) == fold(first)


def test_what_cannot_be_folded_is_refused() -> None:
    item = ItemState(job_id=JOB_ID, item=1)
    with pytest.raises(ValueError, match="id is missing"):
        reduce_item(item, told("sent"))
    with pytest.raises(ValueError, match="folded into item 2"):
        reduce_item(replace(item, item=2), told("intended"))
    with pytest.raises(ValueError, match="folded into item 1"):
        reduce_item(item, MAKE.cancelled(at=BEGIN))
    with pytest.raises(ValueError, match="paused"):
        reduce_item(item, told("paused"))


@pytest.mark.parametrize("status", ItemStatus)
def test_an_order_is_over_once_the_provider_has_ended_it(status: ItemStatus) -> None:
    assert status.is_over == (status.rank >= ItemStatus.SUCCEEDED.rank)
