"""The recorder in this process over a real SQLite store, whose writer can be made to fail, hang and lie."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.metrics.bench import (
    COMMIT_ROWS,
    FIRST,
    NOW,
    SECOND,
    Bench,
    TroubledWriter,
    rows,
    settled,
    start,
)
from thornback.errors import InvalidInput, StoreUnavailable
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.status import FailureReason
from thornback.metrics.committer import MAX_WAITING_COMMITS
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import Speaker
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader


async def test_what_arrives_during_a_commit_goes_into_the_next_one(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    calls = start(*(bench.recorder.record(rows(job_id, 2, first=2 * n)) for n in range(30)))
    await settled(calls)
    hold.release()
    await asyncio.gather(held, *calls)
    assert [len(batch) for batch in bench.writer.batches] == [1, 60]


async def test_a_commit_holds_no_more_rows_than_the_setting_says(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    calls = start(*(bench.recorder.record(rows(job_id, 30, first=30 * n)) for n in range(10)))
    await settled(calls)
    assert (await bench.recorder.health()).waiting == 301
    hold.release()
    await asyncio.gather(held, *calls)
    assert [len(batch) for batch in bench.writer.batches] == [1, 90, 90, 90, 30]
    assert bench.batches(job_id) == list(range(300))


async def test_a_flood_of_one_job_delays_neither_the_cancel_nor_the_rows_of_another(bench: Bench) -> None:
    noisy, quiet = await bench.job(), await bench.job()
    hold, held = await bench.hold()
    flood = start(*(bench.recorder.record(rows(noisy, 10, first=10 * n)) for n in range(500)))
    cancel = EventFactory(quiet).cancel_requested(user="ada", at=NOW)
    others = start(bench.recorder.record([cancel]), bench.recorder.record(rows(quiet, 5)), bench.job())
    await settled([*flood, *others])
    hold.release()
    await asyncio.gather(held, *flood, *others)
    in_next_commit = {(event.job_id, event.kind) for event in bench.writer.batches[1]}
    assert {(quiet, EventKind.CANCEL_REQUESTED), (quiet, EventKind.METRICS)} <= in_next_commit
    assert len(bench.batches(noisy)) == 5000


async def test_while_the_database_is_away_callers_are_told_and_afterwards_all_goes_on(bench: Bench) -> None:
    job_id = await bench.job()
    assert (await bench.recorder.record(rows(job_id, 3))).committed == 3

    def away(events: Sequence[JobEvent]) -> None:
        raise StoreUnavailable("the disk is full")

    bench.writer.before = away
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            await bench.recorder.record(rows(job_id, 3, first=3))
    assert (await bench.recorder.health()).database == "the disk is full"
    bench.writer.before = None
    assert (await bench.recorder.record(rows(job_id, 3, first=3))).committed == 3
    assert (await bench.recorder.health()).database == "ok"
    assert bench.batches(job_id) == list(range(6))


async def test_a_commit_whose_answer_was_lost_is_not_hidden_from_subscribers(bench: Bench) -> None:
    job_id = await bench.job()
    cursor = (await bench.recorder.poll(-1, timeout_s=5.0)).cursor

    def lose_the_answer(events: Sequence[JobEvent]) -> None:
        raise StoreUnavailable("the connection broke")

    bench.writer.after = lose_the_answer
    with pytest.raises(StoreUnavailable):
        await bench.recorder.record(rows(job_id, 3))
    bench.writer.after = None
    again = await bench.recorder.record(rows(job_id, 4))
    assert again.committed == 1
    page = await bench.recorder.poll(cursor, timeout_s=5.0)
    assert page.catch_up
    seen = list(bench.reader.events(cursor, until=page.cursor))
    while len(seen) < 4:
        page = await bench.recorder.poll(page.cursor, timeout_s=5.0)
        assert page.events
        seen += page.events
    assert [event.data["batch"] for event in seen] == [0, 1, 2, 3]


async def test_what_another_writer_committed_is_not_hidden_from_subscribers(bench: Bench) -> None:
    # As when PostgreSQL finishes the last commit of an actor that was killed, after the next one looked.
    job_id = await bench.job()
    assert (await bench.recorder.record([], speaker=Speaker(job_id=job_id, attempt=FIRST))).cancel == frozenset()
    cursor = (await bench.recorder.poll(-1, timeout_s=5.0)).cursor
    other = TroubledWriter(bench.url)
    cancel = EventFactory(job_id).cancel_requested(user="ada", at=NOW)
    other.commit([*rows(job_id, 3), cancel])
    other.engine.dispose()
    ack = await bench.recorder.record(rows(job_id, 5))
    assert (ack.committed, ack.cancel) == (2, frozenset({job_id}))
    page = await bench.recorder.poll(cursor, timeout_s=5.0)
    assert page.catch_up
    seen = list(bench.reader.events(cursor, until=page.cursor))
    while len(seen) < 6:
        page = await bench.recorder.poll(page.cursor, timeout_s=5.0)
        assert page.events
        seen += page.events
    assert [event.data.get("batch") for event in seen] == [0, 1, 2, None, 3, 4]


async def test_one_event_that_breaks_the_writer_is_found_and_its_caller_alone_refused(bench: Bench) -> None:
    job_id = await bench.job()

    def break_on_thirteen(events: Sequence[JobEvent]) -> None:
        if any(event.data.get("batch") == 13 for event in events):
            raise ZeroDivisionError("thirteen")

    hold, held = await bench.hold()
    bench.writer.before = break_on_thirteen
    calls = start(*(bench.recorder.record(rows(job_id, 1, first=n)) for n in range(40)))
    await settled(calls)
    hold.release()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    await held
    refused = {n: answer for n, answer in enumerate(answers) if isinstance(answer, BaseException)}
    assert list(refused) == [13]
    assert isinstance(refused[13], InvalidInput)
    assert "ZeroDivisionError" in str(refused[13])
    assert bench.batches(job_id) == [n for n in range(40) if n != 13]
    # 1 (held) + 1 (all) + 2 for each of the halvings 40, 20, 10, 5 or 6, 2 or 3, 1 or 2
    assert len(bench.writer.batches) <= 2 + 2 * 6


async def test_health_answers_while_the_database_hangs(bench: Bench) -> None:
    hold, held = await bench.hold()
    bench.reader.hang = threading.Event()
    async with asyncio.timeout(10):
        health = await bench.recorder.health()
    assert health.database.startswith("no answer for")
    assert health.details["committing_s"] > 0
    bench.reader.hang.set()
    hold.release()
    await held
    assert (await bench.recorder.health()).database == "ok"


async def test_too_much_waiting_is_refused_but_never_a_cancel(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    full = COMMIT_ROWS * MAX_WAITING_COMMITS
    flood = start(*(bench.recorder.record(rows(job_id, 5000, first=5000 * n)) for n in range(full // 5000 + 1)))
    await settled(flood)
    with pytest.raises(StoreUnavailable, match="wait for the database"):
        await bench.recorder.record(rows(job_id, 1))
    cancel = start(bench.recorder.record([EventFactory(job_id).cancel_requested(user="ada", at=NOW)]))
    await settled(cancel)
    hold.release()
    await asyncio.gather(held, *cancel)
    await bench.recorder.record([])
    assert (await bench.recorder.job(job_id)).cancel_requested
    await asyncio.gather(*flood)


async def test_a_caller_that_gave_up_before_its_commit_leaves_nothing(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    calls = start(bench.recorder.record(rows(job_id, 1)), bench.recorder.record(rows(job_id, 1, first=1)))
    await settled(calls)
    calls[0].cancel()
    await asyncio.wait(calls[:1])
    hold.release()
    await asyncio.gather(held, calls[1])
    assert bench.batches(job_id) == [1]
    assert (await bench.recorder.health()).waiting == 0


async def test_a_zombie_is_fenced_off_in_the_very_commit_that_replaces_it(bench: Bench) -> None:
    job_id = await bench.job()
    factory = EventFactory(job_id)
    await bench.recorder.record([factory.started(FIRST, at=NOW)])
    hold, held = await bench.hold()
    retried = factory.retried(SECOND, reason=FailureReason.NODE_LOST, message="lost", at=NOW)
    # together with a row, so that it is no urgent call and both go into one commit
    calls = start(
        bench.recorder.record([retried, *rows(job_id, 1)]),
        bench.recorder.record(rows(job_id, 1, first=1), speaker=Speaker(job_id=job_id, attempt=FIRST)),
    )
    await settled(calls)
    hold.release()
    await asyncio.gather(held, *calls)
    assert len(bench.writer.batches) == 3  # started, held, and one for both
    assert bench.batches(job_id) == [0]


async def test_a_recorder_starts_before_its_database_and_finds_it_by_itself(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/late.db"
    writer, engine = TroubledWriter(url), open_engine(url)
    recorder = LocalRecorder(writer, StoreReader(engine))
    await recorder.start()
    with pytest.raises(StoreUnavailable, match="thornback db upgrade"):
        await recorder.record(rows(str(uuid.uuid4()), 1))
    waiting = asyncio.create_task(recorder.poll(-1, timeout_s=20.0))
    upgrade(url)
    assert (await waiting).cursor == 0
    await recorder.close()
    engine.dispose()
    writer.engine.dispose()


async def test_what_waits_is_committed_before_it_closes_and_later_calls_are_refused(bench: Bench) -> None:
    job_id = await bench.job()
    hold, held = await bench.hold()
    calls = start(*(bench.recorder.record(rows(job_id, 30, first=30 * n)) for n in range(10)))
    await settled(calls)
    closing = asyncio.create_task(bench.recorder.close())
    hold.release()
    await asyncio.gather(held, closing, *calls)
    assert bench.batches(job_id) == list(range(300))
    with pytest.raises(StoreUnavailable):
        await bench.recorder.record(rows(job_id, 1))
    with pytest.raises(StoreUnavailable):
        await bench.job()


async def test_a_subscriber_slower_than_the_ring_is_sent_to_the_database(tmp_path: Path) -> None:
    bench = Bench(tmp_path, buffer_events=10)
    await bench.recorder.start()
    job_id = await bench.job()
    cursor = (await bench.recorder.poll(-1, timeout_s=5.0)).cursor
    await bench.recorder.record(rows(job_id, 25))
    page = await bench.recorder.poll(cursor, timeout_s=5.0)
    assert (page.catch_up, page.events) == (True, ())
    assert len(bench.reader.events(cursor, until=page.cursor)) == 25
    await bench.close()


async def test_events_with_odd_times_are_counted_as_committed(bench: Bench) -> None:
    job_id = await bench.job()
    twice = [*rows(job_id, 5), *rows(job_id, 5)]
    mended = replace(twice[0], key="other", data={**twice[0].data, "values": {"train_loss": float("nan")}})
    assert (await bench.recorder.record(twice)).committed == 5
    await bench.recorder.record([mended])
    assert len(bench.batches(job_id)) == 6
