"""What every Recorder promises: in this process and as an actor, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contracts.metrics.conftest import FIRST, NOW, SECOND, created, follow, new_job, now, rows
from thornback.errors import IdempotencyConflict, InvalidInput, JobNotFound, QuotaExceeded
from thornback.jobs.events import EventFactory, EventKind
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import Page, QueuePlace, Recorder, Speaker
from thornback.settings import Settings
from thornback.spend.quotas import Holder, Limited, SetQuota
from thornback.store.read import StoreReader


async def test_a_created_job_can_be_read(recorder: Recorder) -> None:
    new = new_job()
    answer = await recorder.create(new)
    assert answer.is_new
    assert answer.job.id == new.job_id
    state = await recorder.job(new.job_id)
    assert state == answer.job
    assert (state.status, state.user, state.total_epochs) == (JobStatus.QUEUED, "ada", 10)


async def test_an_unknown_job_is_said_to_be_unknown(recorder: Recorder) -> None:
    job_id = str(uuid.uuid4())
    with pytest.raises(JobNotFound) as caught:
        await recorder.job(job_id)
    assert caught.value.details == {"job_id": job_id}


async def test_creating_again_with_the_same_id_gives_the_same_answer(recorder: Recorder) -> None:
    new = new_job()
    first = await recorder.create(new)
    start = await now(recorder)
    again = await recorder.create(new)
    assert again == first
    assert (await recorder.poll(start, timeout_s=0.0)).events == ()


async def test_an_idempotency_key_makes_one_job(recorder: Recorder) -> None:
    key = uuid.uuid4().hex
    first = await recorder.create(new_job(idempotency_key=key, request_hash="a"))
    second = await recorder.create(new_job(idempotency_key=key, request_hash="a"))
    assert (second.job.id, second.is_new) == (first.job.id, False)
    with pytest.raises(IdempotencyConflict):
        await recorder.create(new_job(idempotency_key=key, request_hash="b"))


async def test_the_winner_of_a_key_is_new_again_when_its_call_is_repeated(recorder: Recorder) -> None:
    new = new_job(idempotency_key=uuid.uuid4().hex, request_hash="a")
    assert (await recorder.create(new)).is_new
    assert (await recorder.create(new)).is_new


async def test_a_job_beyond_a_quota_is_refused_and_no_subscriber_notices(recorder: Recorder) -> None:
    user = uuid.uuid4().hex
    quota = SetQuota(holder=Holder("user", user), limits={"jobs": 1}, note="", by="root", at=NOW)
    assert await recorder.administer(quota)
    start = await now(recorder)
    made = await recorder.create(new_job(user=user))
    assert [(level.what, level.used, level.limit) for level in made.nearly_used] == [(Limited.JOBS, 1, 1)]
    with pytest.raises(QuotaExceeded) as refused:
        await recorder.create(new_job(user=user))
    assert (refused.value.details["quota"], refused.value.details["used"]) == ("jobs", 1)
    kinds = [event.kind for event in await follow(recorder, start, 2, job_id=made.job.id)]
    assert kinds == [EventKind.CREATED, EventKind.ALERT]


async def test_record_answers_after_the_commit_and_drops_repeats(recorder: Recorder, reader: StoreReader) -> None:
    job_id = await created(recorder)
    events = rows(job_id, 20)
    ack = await recorder.record(events)
    assert ack.committed == 20
    assert len(reader.metrics(job_id, level="step")) == 20
    again = await recorder.record([*events, *rows(job_id, 5, first=20)])
    assert again.committed == 5
    assert len(reader.metrics(job_id, level="step")) == 25
    assert again.cursor > ack.cursor


async def test_a_curve_is_read_by_epoch_or_step_and_goes_on_from_its_cursor(recorder: Recorder) -> None:
    job_id = await created(recorder)
    make = EventFactory(job_id)
    epochs = [
        make.metrics(epoch=epoch, batch=None, phase="val", values={"val_loss": 1 / epoch}, at=NOW) for epoch in (1, 2)
    ]
    steps = [make.metrics(epoch=1, batch=step, phase="train", values={"train_loss": 3.0}, at=NOW) for step in (10, 20)]
    await recorder.record([*epochs, *steps])
    curve = await recorder.curve(job_id, "val_loss")
    assert [(point.at, point.value) for point in curve.points] == [(1, 1.0), (2, 0.5)]
    assert [point.at for point in (await recorder.curve(job_id, "train_loss", steps=True)).points] == [10, 20]
    assert (await recorder.curve(job_id, "train_loss")).points == ()
    assert (await recorder.curve(job_id, "val_loss", after=curve.cursor)).points == ()
    await recorder.record([make.metrics(epoch=3, batch=None, phase="val", values={"val_loss": 0.25}, at=NOW)])
    assert [point.at for point in (await recorder.curve(job_id, "val_loss", after=curve.cursor)).points] == [3]
    with pytest.raises(JobNotFound):
        await recorder.curve(str(uuid.uuid4()), "val_loss")


async def test_events_of_unknown_jobs_are_dropped(recorder: Recorder) -> None:
    ack = await recorder.record(rows(str(uuid.uuid4()), 3))
    assert ack.committed == 0


async def test_a_subscriber_sees_events_in_order_and_the_job_on_the_last(recorder: Recorder) -> None:
    start = await now(recorder)
    job_id = await created(recorder)
    factory = EventFactory(job_id)
    await recorder.record([factory.started(FIRST, at=NOW), *rows(job_id, 3)])
    seen = await follow(recorder, start, 5, job_id=job_id)
    assert [event.kind for event in seen] == [EventKind.CREATED, EventKind.STARTED, *[EventKind.METRICS] * 3]
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    carries = [event.job is not None for event in seen]
    # Several recorders' events may be read together, and only the last of a job carries it.
    assert carries[-1] if len(recorder.feeds) > 1 else carries == [True, False, False, False, True]
    assert seen[-1].job == await recorder.job(job_id)
    assert seen[-1].data == {"epoch": 0, "batch": 2, "phase": "train", "values": {"train_loss": 1.0 / 3}}


async def test_a_poll_that_waits_is_woken_by_a_commit(recorder: Recorder) -> None:
    job_id = await created(recorder)
    start = await now(recorder)
    polls = [asyncio.create_task(recorder.poll(start, timeout_s=30.0)) for _ in range(20)]
    await asyncio.wait(polls, timeout=0.1)
    assert not any(poll.done() for poll in polls)
    await recorder.record(rows(job_id, 1))
    async with asyncio.timeout(10):
        pages = await asyncio.gather(*polls)
    assert {tuple(event.job_id for event in page.events) for page in pages} == {(job_id,)}


async def test_a_poll_ends_empty_when_its_time_is_over(recorder: Recorder) -> None:
    start = await now(recorder)
    page = await recorder.poll(start, timeout_s=0.05)
    assert page == Page(events=(), cursor=start)


async def test_a_poll_gives_at_most_its_limit(recorder: Recorder) -> None:
    job_id = await created(recorder)
    start = await now(recorder)
    await recorder.record(rows(job_id, 10))
    first = await recorder.poll(start, timeout_s=5.0, limit=4)
    rest = await recorder.poll(first.cursor, timeout_s=5.0, limit=100)
    assert (len(first.events), len(rest.events)) == (4, 6)


async def test_a_cursor_from_before_the_buffer_is_sent_to_the_database(
    recorder: Recorder, reader: StoreReader, settings: Settings
) -> None:
    if len(recorder.feeds) > 1:
        pytest.skip("their events come from the database anyway")
    job_id = await created(recorder)
    # A recorder that starts now has nothing of what was committed before.
    late = LocalRecorder.open(settings)
    late.begin()
    try:
        page = await late.poll(0, timeout_s=10.0)
        assert page.catch_up
        assert page.events == ()
        assert page.cursor == reader.latest_event_id()
        assert job_id in {event.job_id for event in reader.events(0, until=page.cursor, limit=100_000)}
    finally:
        await late.close()


async def test_what_people_ask_reaches_the_run_with_its_next_words(recorder: Recorder) -> None:
    job_id = await created(recorder)
    factory = EventFactory(job_id)
    speaker = Speaker(job_id=job_id, attempt=FIRST)
    await recorder.record([factory.started(FIRST, at=NOW)])
    assert (await recorder.record([], speaker=speaker)).asked == {}
    later = NOW + timedelta(seconds=9)
    asked = [factory.asked(what, user="ada", at=at) for what, at in (("save", later), ("save", NOW), ("sample", NOW))]
    assert (await recorder.record(asked)).asked == {}  # nobody speaks for a run
    assert (await recorder.record([], speaker=speaker)).asked == {"save": later, "sample": NOW}
    assert (await recorder.job(job_id)).asked == {"save": later, "sample": NOW}


async def test_a_cancel_reaches_the_run_with_its_next_words(recorder: Recorder) -> None:
    job_id = await created(recorder)
    factory = EventFactory(job_id)
    speaker = Speaker(job_id=job_id, attempt=FIRST)
    await recorder.record([factory.started(FIRST, at=NOW)])
    assert (await recorder.record(rows(job_id, 1), speaker=speaker)).cancel == frozenset()
    await recorder.record([factory.cancel_requested(user="ada", at=NOW)])
    assert (await recorder.record([], speaker=speaker)).cancel == {job_id}
    assert (await recorder.record(rows(job_id, 2))).cancel == {job_id}
    await recorder.record([factory.cancelled(at=NOW)])
    ended = await recorder.record([], speaker=speaker)
    assert (ended.cancel, ended.superseded) == (frozenset(), frozenset({job_id}))


async def test_a_superseded_run_is_told_so_and_may_only_log(recorder: Recorder, reader: StoreReader) -> None:
    job_id = await created(recorder)
    factory = EventFactory(job_id)
    await recorder.record([factory.started(FIRST, at=NOW), *rows(job_id, 1)])
    await recorder.record([factory.retried(SECOND, reason=FailureReason.DRIVER_LOST, message="lost", at=NOW)])
    zombie = [
        *rows(job_id, 1, first=1),
        factory.log(FIRST, rank=0, seq=0, lines=["still here"], at=NOW),
        factory.failed(FIRST, reason=FailureReason.EXCEPTION, message="too late", at=NOW),
    ]
    ack = await recorder.record(zombie, speaker=Speaker(job_id=job_id, attempt=FIRST))
    assert (ack.committed, ack.superseded) == (1, frozenset({job_id}))
    assert len(reader.metrics(job_id, level="step")) == 1
    assert [line for chunk in reader.logs(job_id) for line in chunk.lines] == ["still here"]
    state = await recorder.job(job_id)
    assert (state.final, state.attempt) == (None, 2)
    living = await recorder.record(rows(job_id, 1, first=1), speaker=Speaker(job_id=job_id, attempt=SECOND))
    assert (living.committed, living.superseded) == (1, frozenset())


async def test_late_words_about_a_job_that_succeeded_are_kept(recorder: Recorder) -> None:
    job_id = await created(recorder)
    factory = EventFactory(job_id)
    speaker = Speaker(job_id=job_id, attempt=FIRST)
    await recorder.record([factory.started(FIRST, at=NOW), factory.succeeded(FIRST, at=NOW)], speaker=speaker)
    ack = await recorder.record(rows(job_id, 2), speaker=speaker)
    assert (ack.committed, ack.superseded) == (2, frozenset())


async def test_what_cannot_be_stored_is_refused_to_its_caller_alone(recorder: Recorder) -> None:
    job_id = await created(recorder)
    good = rows(job_id, 40)
    bad = replace(rows(job_id, 1, first=99)[0], key="metrics:odd", data={"epoch": "?", "batch": None})
    calls = [recorder.record([event]) for event in good[:20]]
    calls.append(recorder.record([good[20], bad]))
    calls += [recorder.record([event]) for event in good[21:]]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(error) for error in refused] == [InvalidInput]
    assert isinstance(refused[0], InvalidInput)
    assert refused[0].details["errors"][0]["field"] == "metrics:odd"
    assert (await recorder.record(good)).committed == 0  # every good event is there, its neighbour's too


async def test_a_call_of_absurd_size_is_refused(recorder: Recorder) -> None:
    with pytest.raises(InvalidInput):
        await recorder.record(rows(str(uuid.uuid4()), 1) * 10_001)


async def test_a_deleted_job_leaves_a_tombstone(recorder: Recorder) -> None:
    job_id = await created(recorder)
    start = await now(recorder)
    await recorder.delete(job_id)
    with pytest.raises(JobNotFound):
        await recorder.job(job_id)
    assert [event.kind for event in await follow(recorder, start, 1, job_id=job_id)] == [EventKind.DELETED]
    speaker = Speaker(job_id=job_id, attempt=FIRST)
    late = await recorder.record(rows(job_id, 1), speaker=speaker)
    assert (late.committed, late.superseded) == (0, frozenset({job_id}))
    await recorder.delete(job_id)
    await recorder.delete(str(uuid.uuid4()))


async def test_queue_places_are_replaced(recorder: Recorder, reader: StoreReader) -> None:
    one, two = await created(recorder), await created(recorder)
    await recorder.set_queue({one: QueuePlace(position=1), two: QueuePlace(position=2, reason="4 GPUs are taken")})
    assert reader.job(two).queue == QueuePlace(position=2, reason="4 GPUs are taken")
    await recorder.set_queue({two: QueuePlace(position=1)})
    assert (reader.job(one).queue, reader.job(two).queue) == (None, QueuePlace(position=1))


async def test_many_callers_at_once_lose_and_double_nothing(recorder: Recorder, reader: StoreReader) -> None:
    job_ids = [await created(recorder) for _ in range(4)]
    start = await now(recorder)
    calls = [
        recorder.record(rows(job_id, 5, first=5 * part), speaker=Speaker(job_id=job_id, attempt=FIRST))
        for part in range(20)
        for job_id in job_ids
    ]
    acks = await asyncio.gather(*calls)
    assert sum(ack.committed for ack in acks) == 4 * 100
    for job_id in job_ids:
        # Calls that run at the same time have no order among themselves, but all see the same one.
        batches = [row.batch for row in reader.metrics(job_id, level="step")]
        assert set(batches) == set(range(100))
        assert len(batches) == 100
        seen = await follow(recorder, start, 100, job_id=job_id)
        assert [event.data["batch"] for event in seen] == batches


async def test_health_says_that_all_is_well(recorder: Recorder) -> None:
    await created(recorder)
    start = await now(recorder)
    waiting = asyncio.create_task(recorder.poll(start, timeout_s=5.0))
    async with asyncio.timeout(10):
        while (health := await recorder.health()).subscribers == 0:
            pass
    assert (health.database, health.waiting) == ("ok", 0)
    assert health.subscribers == len(recorder.feeds)
    assert health.commits > 0
    assert health.events > 0
    assert health.cursor == start
    assert health.last_commit_ms > 0
    await recorder.record([EventFactory(await created(recorder)).started(FIRST, at=NOW + timedelta(seconds=1))])
    assert (await waiting).events
