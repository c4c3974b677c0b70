"""The fold: order, repeats and late events change nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs.histories import BEGIN, JOB_ID, histories
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.reduce import MAX_RUNNING_PERCENT, reduce, reduce_all
from thornback.jobs.spec import ConvNextSpec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus

MAKE = EventFactory(JOB_ID)
EMPTY = JobState(id=JOB_ID)
SPEC = ConvNextSpec(job_name="run").model_dump(mode="json")


@given(history=histories(), seed=st.randoms(use_true_random=False), repeats=st.integers(1, 3))
def test_order_and_repeats_do_not_matter(history: list[JobEvent], seed: random.Random, repeats: int) -> None:
    shuffled = history * repeats
    seed.shuffle(shuffled)
    assert reduce_all(EMPTY, shuffled) == reduce_all(EMPTY, history)


@given(history=histories(ended=True), seed=st.randoms(use_true_random=False), intruder=st.sampled_from(["ok", "bad"]))
def test_a_final_status_never_changes(history: list[JobEvent], seed: random.Random, intruder: str) -> None:
    ended = reduce_all(EMPTY, history)
    assert ended.status.is_final
    late = BEGIN + timedelta(days=1)
    other = (
        MAKE.succeeded(Attempt(9), at=late)
        if intruder == "ok"
        else MAKE.failed(Attempt(9), reason=FailureReason.EXCEPTION, message="late", at=late)
    )
    again = [*history, other, MAKE.started(Attempt(9), at=late), MAKE.cancelled(at=late)]
    seed.shuffle(again)
    after = reduce_all(ended, again)
    assert (after.status, after.completed_at, after.error_message) == (
        ended.status,
        ended.completed_at,
        ended.error_message,
    )


@given(history=histories(), seed=st.randoms(use_true_random=False))
def test_progress_never_goes_back_and_is_100_only_on_success(history: list[JobEvent], seed: random.Random) -> None:
    seed.shuffle(history)
    job, before = EMPTY, 0.0
    for event in history:
        job = reduce(job, event)
        assert job.progress_percent >= before
        assert (job.progress_percent == 100.0) is (job.status is JobStatus.COMPLETED)
        before = job.progress_percent


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], JobStatus.QUEUED),
        ([MAKE.pending(Attempt(1), reason="waiting for 1 GPU", at=BEGIN)], JobStatus.PENDING),
        ([MAKE.scheduled(Attempt(1), submission_id="s", at=BEGIN)], JobStatus.QUEUED),
        ([MAKE.started(Attempt(1), at=BEGIN)], JobStatus.RUNNING),
        # a driver that was lost waits again, and what the lost one says late does not make it run
        (
            [
                MAKE.retried(Attempt(2), reason=FailureReason.DRIVER_LOST, message="gone", at=BEGIN),
                MAKE.stage(Attempt(1), index=5, name="training", at=BEGIN),
            ],
            JobStatus.QUEUED,
        ),
        # a restart inside the same submission goes on running
        (
            [MAKE.retried(Attempt(1, 1), reason=FailureReason.WORKER_LOST, message="gone", at=BEGIN)],
            JobStatus.RUNNING,
        ),
        ([MAKE.cancel_requested(user="ada", at=BEGIN)], JobStatus.QUEUED),
        ([MAKE.cancelled(at=BEGIN)], JobStatus.CANCELLED),
        ([MAKE.succeeded(Attempt(1), at=BEGIN)], JobStatus.COMPLETED),
    ],
)
def test_status_follows_the_furthest_event(events: list[JobEvent], status: JobStatus) -> None:
    assert reduce_all(EMPTY, [MAKE.created(SPEC, user="ada", at=BEGIN), *events]).status is status


def test_an_earlier_wait_says_nothing_about_a_job_that_is_being_launched() -> None:
    waiting = reduce_all(EMPTY, [MAKE.pending(Attempt(1), reason="waiting for 1 GPU", at=BEGIN)])
    assert waiting.waits_for == "waiting for 1 GPU"
    launched = reduce(waiting, MAKE.scheduled(Attempt(1), submission_id="s", at=BEGIN))
    assert (launched.status, launched.waits_for) == (JobStatus.QUEUED, None)


def test_progress_is_capped_until_the_job_succeeds() -> None:
    event = MAKE.progress(Attempt(1), seq=1, percent=250.0, epoch=3, total_epochs=3, eta_seconds=None, at=BEGIN)
    assert reduce(EMPTY, event).progress_percent == MAX_RUNNING_PERCENT


def test_headline_metrics_are_those_of_the_furthest_row() -> None:
    def row(epoch: int, batch: int | None, loss: float) -> JobEvent:
        return MAKE.metrics(epoch=epoch, batch=batch, phase="train", values={"train_loss": loss}, at=BEGIN)

    # epoch 2's own row outranks its batches; a late row of epoch 1 changes nothing
    job = reduce_all(EMPTY, [row(2, None, 0.2), row(2, 999, 0.9), row(1, None, 0.5)])
    assert job.metric("train_loss") == 0.2


def test_best_is_the_smallest_validation_loss_and_the_earliest_epoch_of_equals() -> None:
    def row(epoch: int, loss: float | None) -> JobEvent:
        return MAKE.metrics(epoch=epoch, batch=None, phase="val", values={"val_loss": loss}, at=BEGIN)

    job = reduce_all(EMPTY, [row(3, 0.25), row(2, 0.25), row(4, 0.5), row(5, None)])
    assert (job.best_epoch, job.best_val_loss) == (2, 0.25)


def test_time_left_comes_from_the_newest_report() -> None:
    def report(attempt: Attempt, percent: float, eta: float) -> JobEvent:
        return MAKE.progress(attempt, seq=1, percent=percent, epoch=1, total_epochs=9, eta_seconds=eta, at=BEGIN)

    job = reduce_all(EMPTY, [report(Attempt(2), 10.0, 300.0), report(Attempt(1), 50.0, 60.0)])
    assert job.eta_at == BEGIN + timedelta(seconds=300)
    assert job.progress_percent == 50.0


def test_the_newest_artifact_of_a_name_stands() -> None:
    def best(seconds: int) -> JobEvent:
        at = BEGIN + timedelta(seconds=seconds)
        return MAKE.artifact(Attempt(1), name="best", type="checkpoint", uri=f"/runs/{seconds}", at=at)

    assert reduce_all(EMPTY, [best(2), best(1)]).artifact_uri("checkpoint") == "/runs/2"


def test_an_event_of_another_job_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="folded into job"):
        reduce(replace(EMPTY, id="another"), MAKE.cancelled(at=BEGIN))


def test_a_run_that_moved_was_not_lost() -> None:
    lost = MAKE.retried(Attempt(2), reason=FailureReason.DRIVER_LOST, message="killed", at=BEGIN)
    moved = MAKE.retried(Attempt(3), reason=FailureReason.MOVED, message="node a is being drained", at=BEGIN)
    in_place = MAKE.retried(Attempt(3, 1), reason=FailureReason.MOVED, message="there is room", at=BEGIN)
    job = reduce_all(JobState(id=JOB_ID), [lost, moved, in_place])
    assert (job.attempt, job.moves, job.runs_lost) == (3, (3,), 1)
