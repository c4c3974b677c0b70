"""The reporter over a real recorder, through a line that can be cut."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thornback.errors import InvalidInput, StoreUnavailable
from thornback.jobs.events import Attempt, EventFactory, EventKind, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import Ack, NewJob, Speaker
from thornback.metrics.reporter import ActorReporter, NullReporter, Reporter, open_reporter
from thornback.metrics.shipper import BATCH_EVENTS
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

FIRST = Attempt(1)


class Line:
    """Carries a reporter's batches to a recorder; a test cuts it, or loses answers on it."""

    def __init__(self, recorder: LocalRecorder, loop: asyncio.AbstractEventLoop, speaker: Speaker) -> None:
        self.trouble: Callable[[Sequence[JobEvent]], None] | None = None
        self.lost_answers = 0
        self.batches: list[list[JobEvent]] = []
        self.tried = threading.Event()
        self._recorder, self._loop, self._speaker = recorder, loop, speaker

    def __call__(self, events: Sequence[JobEvent]) -> Ack:
        self.tried.set()
        if self.trouble is not None:
            self.trouble(events)
        call = self._recorder.record(events, speaker=self._speaker)
        ack = asyncio.run_coroutine_threadsafe(call, self._loop).result(20)
        if events and self.lost_answers:
            self.lost_answers -= 1
            raise StoreUnavailable("the answer was lost")
        if events:
            self.batches.append(list(events))
        return ack

    def cut(self) -> None:
        def away(events: Sequence[JobEvent]) -> None:
            raise StoreUnavailable("cut")

        self.tried.clear()
        self.trouble = away

    def mend(self) -> None:
        self.trouble = None


class Bench:
    """A job, its reporter and what the database says of it."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(home=folder)
        upgrade(settings.database_url)
        self.recorder = LocalRecorder.open(settings)
        self._engine = open_engine(settings.database_url)
        self.reader = StoreReader(self._engine)
        self.job_id = str(uuid.uuid4())
        self._reporters: list[ActorReporter] = []

    async def start(self) -> None:
        await self.recorder.start()
        spec = parse_spec({"job_name": "radio"}).model_dump(mode="json")
        await self.recorder.create(NewJob(job_id=self.job_id, spec=spec, user="ada", at=datetime.now(UTC)))

    def open(self, *, rank: int = 0, attempt: Attempt = FIRST) -> tuple[ActorReporter, Line]:
        speaker = Speaker(job_id=self.job_id, attempt=attempt)
        line = Line(self.recorder, asyncio.get_running_loop(), speaker)
        reporter = ActorReporter(self.job_id, attempt=attempt, rank=rank, send=line)
        self._reporters.append(reporter)
        return reporter, line

    @property
    def state(self) -> JobState:
        return self.reader.job(self.job_id).state

    @property
    def batches(self) -> list[int | None]:
        return [row.batch for row in self.reader.metrics(self.job_id, level="step", limit=100_000)]

    @property
    def lines(self) -> list[str]:
        return [line for chunk in self.reader.logs(self.job_id, limit=10_000) for line in chunk.lines]

    async def close(self) -> None:
        for reporter in self._reporters:
            await asyncio.to_thread(reporter.close, 5.0)
            reporter.abandon()
        await self.recorder.close()
        self._engine.dispose()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.start()
    yield bench
    await bench.close()


async def flush(reporter: Reporter, timeout_s: float = 10.0) -> bool:
    return await asyncio.to_thread(reporter.flush, timeout_s)


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait in another thread, so that the recorder's loop runs on."""
    done = threading.Event()

    def look() -> None:
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            done.wait(0.01)

    await asyncio.to_thread(look)
    assert condition()


def step(reporter: Reporter, batch: int) -> None:
    reporter.metrics(epoch=0, batch=batch, phase="train", values={"train_loss": 1.0})


async def test_the_whole_story_of_a_run_reaches_the_database(bench: Bench) -> None:
    driver, _ = bench.open(rank=-1)
    worker, _ = bench.open(rank=0)
    driver.started()
    driver.stage("starting workers")
    await flush(driver)
    worker.stage("training")
    worker.describe(train_samples=np.int64(80), class_names=["cw", "am"])
    for n in range(5):
        step(worker, n)
    worker.progress(percent=50, epoch=1, total_epochs=2, eta_seconds=3.5)
    worker.metrics(epoch=1, phase="val", values={"val_loss": torch.tensor(0.25), "val_accuracy": np.float32(0.5)})
    worker.log("epoch 1 of 2")
    worker.artifact(name="best", type="checkpoint", uri="/runs/best", size_bytes=3)
    assert await flush(worker)
    driver.succeeded({"val_accuracy": 0.5})
    assert await flush(driver)
    state = bench.state
    assert (state.status, state.stage, state.current_epoch) == (JobStatus.COMPLETED, "training", 1)
    assert (state.metric("val_loss"), state.metric("val_accuracy")) == (0.25, 0.5)
    assert (state.fact("train_samples"), state.fact("class_names")) == (80, ["cw", "am"])
    assert state.artifact_uri("checkpoint") == "/runs/best"
    assert bench.batches == [0, 1, 2, 3, 4]
    assert bench.lines == ["epoch 1 of 2"]


async def test_driver_and_rank_0_may_both_name_stages_and_the_later_one_stands(bench: Bench) -> None:
    driver, _ = bench.open(rank=-1)
    worker, _ = bench.open(rank=0)
    for reporter, name in ((driver, "checking data"), (worker, "training"), (driver, "exporting")):
        reporter.stage(name)
        at = time.time_ns() // 1_000_000
        await until(lambda at=at: time.time_ns() // 1_000_000 > at)  # type: ignore[misc]
    assert await flush(worker)
    assert await flush(driver)
    assert bench.state.stage == "exporting"


async def test_two_reporters_of_one_rank_never_share_a_key(bench: Bench) -> None:
    # a worker that Ray Train started again without anybody counting the restart
    for n in range(3):
        reporter, _ = bench.open(rank=0)
        reporter.log(f"start {n}")
        reporter.describe(start=n)
        assert await flush(reporter)
    assert bench.lines == ["start 0", "start 1", "start 2"]
    assert bench.state.fact("start") == 2


async def test_other_ranks_only_log(bench: Bench) -> None:
    reporter, line = bench.open(rank=1)
    step(reporter, 0)
    reporter.progress(percent=10, epoch=0, total_epochs=1, eta_seconds=None)
    reporter.stage("training")
    reporter.describe(x=1)
    reporter.log("hello from rank 1")
    assert await flush(reporter)
    assert [event.kind for batch in line.batches for event in batch] == [EventKind.LOG]


async def test_nothing_is_lost_or_doubled_while_the_line_is_cut_and_answers_are_lost(bench: Bench) -> None:
    reporter, line = bench.open()
    for n in range(100):
        step(reporter, n)
    assert await flush(reporter)
    line.cut()
    for n in range(100, 1300):
        step(reporter, n)
    reporter.log("said while nobody listened")
    assert not await flush(reporter, 0.2)
    line.mend()
    line.lost_answers = 2
    assert await flush(reporter)
    assert bench.batches == list(range(1300))
    assert bench.lines == ["said while nobody listened"]


async def test_the_same_batch_is_sent_again(bench: Bench) -> None:
    reporter, line = bench.open()
    keys: list[list[str]] = []

    def note_and_fail(events: Sequence[JobEvent]) -> None:
        if events:
            keys.append([event.key for event in events])
            if len(keys) < 3:
                raise StoreUnavailable("cut")

    line.trouble = note_and_fail
    step(reporter, 0)
    await until(lambda: len(keys) >= 1)
    step(reporter, 1)
    assert await flush(reporter)
    assert keys[0] == keys[1] == keys[2]
    assert bench.batches == [0, 1]


async def test_the_first_report_goes_out_at_once_and_the_rest_in_batches(bench: Bench) -> None:
    reporter, line = bench.open()
    started = time.monotonic()
    step(reporter, 0)
    await until(lambda: bool(line.batches))
    assert time.monotonic() - started < 5  # the machine may be busy; it is milliseconds otherwise
    for n in range(1, 3 * BATCH_EVENTS):
        step(reporter, n)
    assert await flush(reporter)
    assert max(len(batch) for batch in line.batches) <= BATCH_EVENTS
    assert len(line.batches) < 20
    assert bench.batches == list(range(3 * BATCH_EVENTS))


async def test_a_report_that_is_refused_does_not_hold_up_the_others(bench: Bench) -> None:
    reporter, line = bench.open()

    def refuse(events: Sequence[JobEvent]) -> None:
        if any(event.data.get("batch") == 7 for event in events):
            raise InvalidInput("no sevens")

    line.trouble = refuse
    for n in range(20):
        step(reporter, n)
    assert await flush(reporter)
    assert await flush(reporter)
    assert bench.batches == [n for n in range(20) if n != 7]
    assert bench.lines == ["a report was refused (metrics): no sevens"]


async def test_a_run_that_reports_nothing_hears_of_a_cancel(bench: Bench) -> None:
    reporter, _ = bench.open()
    assert not reporter.should_stop
    await bench.recorder.record([EventFactory(bench.job_id).cancel_requested(user="ada", at=datetime.now(UTC))])
    await until(lambda: reporter.should_stop)
    assert not reporter.is_superseded


async def test_a_run_hears_what_it_is_asked_for_and_when(bench: Bench) -> None:
    reporter, _ = bench.open()
    assert reporter.asked() == {}
    first, second = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (0, 5))
    make = EventFactory(bench.job_id)
    await bench.recorder.record([make.asked("save", user="ada", at=first)])
    await until(lambda: reporter.asked() == {"save": first})
    await bench.recorder.record([make.asked("save", user="ada", at=second), make.asked("finish", user="ada", at=first)])
    await until(lambda: reporter.asked() == {"save": second, "finish": first})
    assert not reporter.should_stop


async def test_a_zombie_hears_that_it_is_superseded_and_its_words_change_nothing(bench: Bench) -> None:
    zombie, _ = bench.open()
    living, _ = bench.open(attempt=Attempt(2))
    living.started()
    assert await flush(living)
    await until(lambda: zombie.is_superseded)
    assert zombie.should_stop
    zombie.failed(FailureReason.EXCEPTION, "too late")
    step(zombie, 0)
    assert await flush(zombie)
    assert bench.state.final is None
    assert bench.batches == []
    assert not living.should_stop


async def test_a_restart_inside_a_run_carries_on_under_its_number(bench: Bench) -> None:
    reporter, _ = bench.open(rank=-1)
    reporter.started()
    reporter.retried(Attempt(1, 1), FailureReason.WORKER_LOST, "worker 1 died")
    reporter.stage("training")
    assert await flush(reporter)
    assert reporter.attempt == Attempt(1, 1)
    assert (bench.state.mark.restart, bench.state.retry_message) == (1, "worker 1 died")


async def test_a_closed_reporter_says_no_more(bench: Bench) -> None:
    reporter, _ = bench.open()
    step(reporter, 0)
    assert await asyncio.to_thread(reporter.close, 10.0)
    step(reporter, 1)
    reporter.log("x")
    assert bench.batches == [0]
    assert bench.lines == []


async def test_a_close_in_vain_goes_on_trying(bench: Bench) -> None:
    reporter, line = bench.open()
    line.cut()
    step(reporter, 0)
    assert not await asyncio.to_thread(reporter.close, 0.05)
    line.mend()
    await until(lambda: bench.batches == [0])


async def test_odd_values_are_the_callers_error_at_once(bench: Bench) -> None:
    reporter, _ = bench.open()
    with pytest.raises((TypeError, ValueError)):
        reporter.metrics(epoch=0, phase="train", values={"train_loss": "much"})  # type: ignore[dict-item]


async def test_a_reporter_cannot_be_pickled(bench: Bench) -> None:
    reporter, _ = bench.open()
    with pytest.raises(TypeError, match="open_reporter"):
        pickle.dumps(reporter)


def _use_in_child(reporter: ActorReporter, answers: Any) -> None:
    try:
        reporter.log("from the child")
    except RuntimeError as error:
        answers.put(str(error))
    else:
        answers.put("no error")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is the point
async def test_in_a_forked_child_every_call_says_what_is_wrong(bench: Bench) -> None:
    reporter, _ = bench.open()
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_use_in_child, args=(reporter, answers))
    child.start()
    await asyncio.to_thread(child.join, 20)
    assert child.exitcode == 0
    assert "open_reporter" in answers.get()


def test_without_a_job_nothing_is_reported() -> None:
    reporter = open_reporter(None, attempt=Attempt(3), rank=0, namespace="none")
    assert isinstance(reporter, NullReporter)
    assert reporter.attempt == Attempt(3)
    step(reporter, 0)
    reporter.failed(FailureReason.EXCEPTION, "x")
    assert not reporter.should_stop
    assert reporter.flush(0)
    assert reporter.close()
