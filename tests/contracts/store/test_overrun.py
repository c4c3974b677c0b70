"""Runs of our own that take longer than was set aside for them, on a clock that the test moves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.contracts.store.conftest import NOW, RUN, Store, spec
from tests.contracts.store.test_money import create, ended, entries, total, writer_of
from thornback.errors import SpendExceeded
from thornback.jobs.events import EventFactory, EventKind
from thornback.settings import Quota
from thornback.spend.quotas import GoOn
from thornback.store.write import StoreWriter

AHEAD, STEP = timedelta(minutes=1), timedelta(minutes=15)
# One GPU at 6 USD an hour: 0.1 USD a minute, and an hour is set aside.
PRICES = {"gpu_hour": 6.0, "margin": 1.0, "default_hours": 1.0, "warn_share": 0.9}


def started(writer: StoreWriter, user: str = "ada") -> str:
    job = create(writer, spec(config={"accelerator": "gpu"}), user=user).job
    writer.commit([EventFactory(job.id).started(RUN, at=NOW)])
    return job.id


def go_on(writer: StoreWriter, job_id: str, at: datetime, *, may_exceed: bool = False) -> bool:
    change = GoOn(job_id=job_id, at=at, ahead=AHEAD, step=STEP, may_exceed=may_exceed)
    return writer.go_on(change)[0]


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def told(store: Store, kind: EventKind) -> list[Any]:
    return [event for event in store.reader.events(0) if event.kind is kind]


def test_more_is_set_aside_before_it_is_used(store: Store) -> None:
    writer = writer_of(store, **PRICES, user=Quota(usd_month=100))
    job_id = started(writer)
    assert not go_on(writer, job_id, minutes(59))
    assert go_on(writer, job_id, minutes(59.5))
    # 59.5 + 1 + 15 minutes at 0.1 USD, of which 60 were there
    assert entries(store) == [("reserved", 6_000_000), ("reserved", 1_550_000)]
    assert not go_on(writer, job_id, minutes(59.5))
    assert store.reader.held([job_id])[job_id].micro_usd == 7_550_000
    assert told(store, EventKind.CANCEL_REQUESTED) == []
    writer.commit([ended(job_id, after=timedelta(minutes=70))])
    assert total(store) == 7_000_000


def test_the_run_that_would_pass_the_quota_is_stopped_with_the_reason(store: Store) -> None:
    writer = writer_of(store, **PRICES, user=Quota(usd_month=6.5))
    job_id = started(writer)
    assert go_on(writer, job_id, minutes(60))  # a quarter of an hour is too much; what the next minute needs is not
    assert entries(store)[1:] == [("reserved", 100_000)]
    assert [event.data["rule"] for event in told(store, EventKind.ALERT)] == ["quota usd_month of user ada"]
    for minute in range(61, 64):
        assert go_on(writer, job_id, minutes(minute))
    assert told(store, EventKind.CANCEL_REQUESTED) == []
    assert go_on(writer, job_id, minutes(64.5))
    [asked] = told(store, EventKind.CANCEL_REQUESTED)
    assert asked.data["why"].startswith("user ada uses 6.40 of 6.50 USD of this month, and the run takes longer")
    state = store.reader.job(job_id).state
    assert (state.cancel_requested, state.stop_reason) == (True, asked.data["why"])
    assert told(store, EventKind.ALERT)[-1].data["rule"] == "no quota usd_month of user ada is left"
    assert not go_on(writer, job_id, minutes(66))  # it is ending
    writer.commit([ended(job_id, "failed", after=timedelta(minutes=65))])
    assert total(store) == 6_500_000
    with pytest.raises(SpendExceeded):
        started(writer)


def test_it_goes_on_where_the_setting_lets_it(store: Store) -> None:
    writer = writer_of(store, **PRICES, user=Quota(usd_month=6.5))
    job_id = started(writer)
    assert go_on(writer, job_id, minutes(90), may_exceed=True)
    assert told(store, EventKind.CANCEL_REQUESTED) == []
    assert total(store) == 9_100_000  # up to the minute after, so that nobody else is admitted on top of it


def test_a_full_storage_stops_nobody(store: Store) -> None:
    writer = writer_of(store, **PRICES, user=Quota(storage_bytes=10, gpu_hours=5.0))
    job_id = started(writer)
    file = EventFactory(job_id).artifact(RUN, name="m", type="onnx", uri="/runs/m", at=NOW, size_bytes=600)
    writer.commit([file])
    assert go_on(writer, job_id, minutes(70))
    assert told(store, EventKind.CANCEL_REQUESTED) == []


def test_runs_that_share_a_quota_never_use_more_together(store: Store) -> None:
    writer = writer_of(store, **PRICES, user=Quota(usd_month=13))
    runs = [started(writer), started(writer)]
    going = set(runs)
    for half_minutes in range(100, 200):
        at = minutes(half_minutes / 2)
        for job_id in sorted(going):
            go_on(writer, job_id, at)
            if store.reader.job(job_id).state.cancel_requested:
                # the look before this one set aside what lasts to there
                writer.commit([ended(job_id, "failed", after=at - NOW + AHEAD - timedelta(seconds=30))])
                going.discard(job_id)
        assert total(store) <= 13_000_000
    assert not going


def test_who_is_unknown_or_has_ended_needs_nothing(store: Store) -> None:
    writer = writer_of(store, **PRICES)
    job_id = started(writer)
    writer.commit([ended(job_id)])
    assert not go_on(writer, job_id, minutes(600))
    assert not go_on(writer, "0b2f6a54-7a0b-4c39-9d0a-6f5a8b5f5f11", minutes(600))
