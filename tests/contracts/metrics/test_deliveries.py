"""What every Recorder promises of deliveries: in this process and as an actor, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from tests.contracts.metrics.conftest import FIRST, NOW, SPEC, created, follow, new_job, now, rows
from thornback.errors import JobNotFound, NotFound
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.items import ItemStatus
from thornback.jobs.status import JobStatus
from thornback.metrics.port import Delivery, NewJob, Receipt, Recorder
from thornback.store.read import StoreReader


def delivery(job_id: str | None, **changes: object) -> Delivery:
    plain = Delivery(
        provider="replicate",
        delivery_id=uuid.uuid4().hex,
        received_at=NOW,
        provider_id="p1",
        job_id=job_id,
        item=1,
        status="succeeded",
        body="{}",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def end(job_id: str, item: int = 1) -> JobEvent:
    make = EventFactory(job_id)
    return make.item(item, order=1, status="succeeded", provider="replicate", provider_id="p1", at=NOW, via="webhook")


async def test_a_delivery_is_in_the_database_before_it_is_answered(recorder: Recorder, reader: StoreReader) -> None:
    job_id = await created(recorder)
    start = await now(recorder)
    given = delivery(job_id)
    assert await recorder.receive(given, [end(job_id)]) == Receipt(is_new=True, committed=1)
    assert reader.items(job_id)[0].status is ItemStatus.SUCCEEDED
    (kept,) = reader.deliveries(job_id=job_id).deliveries
    assert (kept.delivery_id, kept.state) == (given.delivery_id, "applied")
    (seen,) = await follow(recorder, start, 1, job_id=job_id)
    assert (seen.kind, seen.data["status"]) == (EventKind.ITEM, "succeeded")
    assert await recorder.receive(given, [end(job_id)]) == Receipt(is_new=False, committed=0)
    assert (await recorder.poll(seen.id, timeout_s=0.0)).events == ()


async def test_the_first_delivery_about_an_unknown_training_makes_its_job(recorder: Recorder) -> None:
    new = new_job()
    make = EventFactory(new.job_id)
    given = delivery(new.job_id)
    receipt = await recorder.receive(given, [make.started(FIRST, at=NOW)], new=new)
    assert receipt == Receipt(is_new=True, committed=2)
    assert (await recorder.job(new.job_id)).status is JobStatus.RUNNING
    assert (await recorder.receive(given, [make.started(FIRST, at=NOW)], new=new)).is_new is False


async def test_a_deleted_job_is_not_made_again(recorder: Recorder, reader: StoreReader) -> None:
    new = new_job()
    await recorder.create(new)
    await recorder.delete(new.job_id)
    receipt = await recorder.receive(delivery(new.job_id), [end(new.job_id)], new=new)
    assert receipt == Receipt(is_new=True, committed=0, problem="the job was deleted")
    with pytest.raises(JobNotFound):
        await recorder.job(new.job_id)
    (kept,) = reader.deliveries(state="dead", job_id=new.job_id).deliveries
    assert kept.problem == "the job was deleted"


async def test_a_dead_letter_is_put_right_or_discarded(recorder: Recorder, reader: StoreReader) -> None:
    job_id = str(uuid.uuid4())
    early, odd = delivery(job_id), delivery(job_id, problem="no such event type")
    assert (await recorder.receive(early, [end(job_id)])).problem == f"there is no job {job_id}"
    assert (await recorder.receive(odd, [])).problem == "no such event type"
    await recorder.create(NewJob(job_id=job_id, spec=SPEC, user="ada", at=NOW))
    assert await recorder.receive(early, [end(job_id)]) == Receipt(is_new=True, committed=1)
    (dead,) = reader.deliveries(state="dead", job_id=job_id).deliveries
    for _ in range(2):  # a call that Ray sends again
        await recorder.discard(dead.id)
    with pytest.raises(NotFound):
        reader.delivery(dead.id)


async def test_what_cannot_be_stored_is_kept_and_its_neighbours_are_applied(
    recorder: Recorder, reader: StoreReader
) -> None:
    job_id = await created(recorder)
    good = [delivery(job_id, delivery_id=f"{job_id}-{n}", body="\x00 \x1b") for n in range(20)]
    bad = replace(end(job_id), key="item:odd", data={"item": "?"})
    calls = [recorder.receive(given, [end(job_id, item=n + 1)]) for n, given in enumerate(good)]
    calls.insert(7, recorder.receive(delivery(job_id), [end(job_id, item=99), bad]))
    receipts = await asyncio.gather(*calls)
    (problem,) = (receipt.problem for receipt in receipts if receipt.problem)
    assert problem == "its event item:odd cannot be stored"
    assert [item.item for item in reader.items(job_id)] == list(range(1, 21))
    assert len(reader.deliveries(job_id=job_id, state="dead").deliveries) == 1


async def test_many_deliveries_and_their_repeats_have_one_effect_each(recorder: Recorder, reader: StoreReader) -> None:
    job_ids = [await created(recorder) for _ in range(4)]
    given = [(delivery(job_id), end(job_id, item=n)) for n in range(1, 51) for job_id in job_ids]
    calls = [recorder.receive(one, [event]) for one, event in [*given, *given]]
    metrics = [recorder.record(rows(job_id, 200)) for job_id in job_ids]
    acks, receipts = await asyncio.gather(asyncio.gather(*metrics), asyncio.gather(*calls))
    assert [ack.committed for ack in acks] == [200] * 4
    assert sum(receipt.is_new for receipt in receipts) == sum(receipt.committed for receipt in receipts) == 200
    for job_id in job_ids:
        assert [item.item for item in reader.items(job_id)] == list(range(1, 51))
        assert len(reader.deliveries(job_id=job_id, limit=1000).deliveries) == 50
