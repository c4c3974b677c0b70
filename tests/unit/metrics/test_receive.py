"""Deliveries and the committer: together with what else waits, ahead of the bulk, and one bad one harms nobody."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError

from tests.unit.metrics.bench import COMMIT_ROWS, NOW, Bench, rows, settled, start
from thornback.errors import InvalidInput, StoreUnavailable
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.metrics.port import Delivery, Receipt


def delivery(job_id: str, number: int, *, body: str = "{}") -> Delivery:
    return Delivery(
        provider="fal",
        delivery_id=f"{job_id}-{number}",
        received_at=NOW,
        provider_id=None,
        job_id=job_id,
        item=number,
        status="OK",
        body=body,
    )


def sent(job_id: str, number: int) -> JobEvent:
    return EventFactory(job_id).item(number, order=1, status="sent", provider="fal", provider_id=f"p{number}", at=NOW)


def items(bench: Bench, job_id: str) -> list[int]:
    return [item.item for item in bench.reader.items(job_id)]


async def test_deliveries_that_wait_are_one_commit_together_with_rows(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    calls = [bench.recorder.receive(delivery(job_id, n), [sent(job_id, n)]) for n in range(1, 21)]
    waiting = start(*calls, bench.recorder.record(rows(job_id, 10)))
    await settled(waiting)
    assert (await bench.recorder.health()).waiting == 1 + 2 * 20 + 10
    hold.release()
    *receipts, ack = await asyncio.gather(*waiting)
    await held
    assert receipts == [Receipt(is_new=True, committed=1)] * 20
    assert getattr(ack, "committed", None) == 10
    assert [len(batch) for batch in bench.writer.batches] == [1, 30]
    assert items(bench, job_id) == list(range(1, 21))


async def test_a_delivery_overtakes_a_flood_of_rows_and_does_not_stop_it(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    flood = start(*(bench.recorder.record(rows(job_id, 50, first=50 * n)) for n in range(10)))
    late = start(*(bench.recorder.receive(delivery(job_id, n), [sent(job_id, n)]) for n in range(1, 26)))
    await settled([*flood, *late])
    hold.release()
    await asyncio.gather(held, *flood, *late)
    kinds = [{event.kind for event in batch} for batch in bench.writer.batches]
    # 25 deliveries of 2 fill the half of a commit, the rest of it is one call of 50 rows
    assert kinds[1:3] == [{EventKind.ITEM, EventKind.METRICS}, {EventKind.METRICS}]
    assert len(bench.batches(job_id)) == 500


async def test_large_bodies_share_no_commit(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    body = "x" * 1000 * COMMIT_ROWS
    calls = start(*(bench.recorder.receive(delivery(job_id, n, body=body), [sent(job_id, n)]) for n in (1, 2)))
    await settled(calls)
    hold.release()
    await asyncio.gather(held, *calls)
    assert [len(batch) for batch in bench.writer.batches] == [1, 1, 1]


async def test_a_delivery_that_breaks_the_writer_becomes_a_dead_letter(bench: Bench) -> None:
    job_id = await bench.job()

    def break_on_thirteen(events: Sequence[JobEvent]) -> None:
        if any(event.data.get("item") == 13 or event.data.get("batch") == 3 for event in events):
            raise ZeroDivisionError("odd")

    hold, held = await bench.hold()
    bench.writer.before = break_on_thirteen
    calls = start(*(bench.recorder.receive(delivery(job_id, n), [sent(job_id, n)]) for n in range(1, 21)))
    record = start(*(bench.recorder.record(rows(job_id, 1, first=n)) for n in range(5)))
    await settled([*calls, *record])
    hold.release()
    receipts = await asyncio.gather(*calls)
    acks = await asyncio.gather(*record, return_exceptions=True)
    await held
    assert receipts[12] == Receipt(is_new=True, committed=0, problem="it cannot be stored: ZeroDivisionError: odd")
    assert receipts[:12] + receipts[13:] == [Receipt(is_new=True, committed=1)] * 19
    assert [type(answer) for answer in acks if isinstance(answer, Exception)] == [InvalidInput]
    assert items(bench, job_id) == [n for n in range(1, 21) if n != 13]
    assert [row.item for row in bench.reader.deliveries(state="dead").deliveries] == [13]


async def test_while_the_database_is_away_a_delivery_is_refused_and_leaves_nothing(bench: Bench) -> None:
    job_id = await bench.job()

    def away(events: Sequence[JobEvent]) -> None:
        raise StoreUnavailable("gone")

    bench.writer.before = away
    with pytest.raises(StoreUnavailable):
        await bench.recorder.receive(delivery(job_id, 1), [sent(job_id, 1)])
    bench.writer.before = None
    assert bench.reader.deliveries().deliveries == ()
    assert await bench.recorder.receive(delivery(job_id, 1), [sent(job_id, 1)]) == Receipt(is_new=True, committed=1)


async def test_a_delivery_whose_answer_was_lost_is_known_when_it_comes_again(bench: Bench) -> None:
    job_id = await bench.job()

    def lose(events: Sequence[JobEvent]) -> None:
        error = OperationalError("COMMIT", {}, sqlite3.OperationalError("connection lost"))
        raise StoreUnavailable(f"the answer was lost: {error}")

    bench.writer.after = lose
    with pytest.raises(StoreUnavailable):
        await bench.recorder.receive(delivery(job_id, 1), [sent(job_id, 1)])
    bench.writer.after = None
    again = await bench.recorder.receive(delivery(job_id, 1), [sent(job_id, 1)])
    assert again == Receipt(is_new=False, committed=0)
    assert items(bench, job_id) == [1]


async def test_a_delivery_of_absurd_size_is_refused(bench: Bench) -> None:
    job_id = await bench.job()
    with pytest.raises(InvalidInput, match="at most"):
        await bench.recorder.receive(delivery(job_id, 1), [sent(job_id, 1)] * 10_000)
