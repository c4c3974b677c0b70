from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from thornback.errors import JobNotFound
from thornback.jobs.events import Attempt, EventFactory, EventKind
from thornback.jobs.state import JobState, Mark
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.port import Speaker
from thornback.metrics.standing import KEPT_JOBS, Fence, Standing

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RUNNING = JobState(id="j", mark=Mark(1, 0, 3))
factory = EventFactory("j")


class Source:
    """Jobs as the database has them; counts how often it is asked."""

    def __init__(self, *states: JobState) -> None:
        self.states = {state.id: state for state in states}
        self.asked = 0

    def state(self, job_id: str) -> JobState:
        self.asked += 1
        if job_id not in self.states:
            raise JobNotFound(job_id)
        return self.states[job_id]


def speaker(number: int) -> Speaker:
    return Speaker(job_id="j", attempt=Attempt(number))


def test_a_state_is_read_once_and_then_kept_up_to_date() -> None:
    source = Source(RUNNING)
    standing = Standing(source)
    assert standing.asked_to_stop(["j", "j"]) == frozenset()
    standing.update({"j": replace(RUNNING, cancel_requested=True)})
    assert standing.asked_to_stop(["j"]) == {"j"}
    assert source.asked == 1
    standing.forget(["j"])
    assert standing.asked_to_stop(["j"]) == frozenset()
    assert source.asked == 2


def test_it_keeps_no_more_jobs_than_report_at_one_time() -> None:
    source = Source(*(JobState(id=str(n)) for n in range(KEPT_JOBS + 1)))
    standing = Standing(source)
    for n in range(KEPT_JOBS + 1):
        standing.get(str(n))
    standing.get(str(KEPT_JOBS))
    assert source.asked == KEPT_JOBS + 1
    standing.get("0")
    assert source.asked == KEPT_JOBS + 2


def test_a_job_that_ended_need_not_be_asked_to_stop() -> None:
    ended = replace(RUNNING, cancel_requested=True, final=JobStatus.CANCELLED)
    assert Standing(Source(ended)).asked_to_stop(["j", "unknown"]) == frozenset()


@pytest.mark.parametrize(
    ("state", "number", "superseded"),
    [
        (RUNNING, 1, False),
        (RUNNING, 2, False),  # a new attempt may speak before the dispatcher's own event is there
        (replace(RUNNING, mark=Mark(2, 0, 0)), 1, True),
        (replace(RUNNING, mark=Mark(1, 3, 3)), 1, False),  # a driver lives through the restarts of its attempt
        (replace(RUNNING, final=JobStatus.COMPLETED), 1, False),
        (replace(RUNNING, final=JobStatus.FAILED), 1, True),
        (replace(RUNNING, final=JobStatus.CANCELLED), 1, True),
        (None, 1, True),
    ],
)
def test_who_is_superseded(state: JobState | None, number: int, superseded: bool) -> None:
    standing = Standing(Source(*([state] if state else [])))
    assert standing.is_superseded(speaker(number)) is superseded


def test_a_worker_of_an_older_restart_is_fenced_off_and_its_driver_is_not() -> None:
    standing = Standing(Source(replace(RUNNING, mark=Mark(1, 1, 3))))
    cut_off = Speaker(job_id="j", attempt=Attempt(1, 0), is_worker=True)
    present = Speaker(job_id="j", attempt=Attempt(1, 1), is_worker=True)
    row = factory.metrics(epoch=0, batch=0, phase="train", values={}, at=NOW)
    speakers = (cut_off, present, speaker(1))
    assert [standing.is_superseded(one) for one in speakers] == [True, False, False]
    assert [len(Fence(standing).admit([row], one)) for one in speakers] == [0, 1, 1]


def test_a_restart_in_the_same_commit_fences_off_the_workers_before_it() -> None:
    fence = Fence(Standing(Source(RUNNING)))
    row = factory.metrics(epoch=0, batch=0, phase="train", values={}, at=NOW)
    worker = Speaker(job_id="j", attempt=Attempt(1, 0), is_worker=True)
    assert fence.admit([row], worker) == [row]
    fence.admit([factory.retried(Attempt(1, 1), reason=FailureReason.NODE_LOST, message="lost", at=NOW)], speaker(1))
    assert fence.admit([row], worker) == []
    assert fence.admit([row], speaker(1)) == [row]


def test_of_an_older_attempt_only_the_log_is_admitted() -> None:
    fence = Fence(Standing(Source(replace(RUNNING, mark=Mark(2, 0, 3)))))
    row = factory.metrics(epoch=0, batch=0, phase="train", values={}, at=NOW)
    log = factory.log(Attempt(1), rank=0, seq=0, lines=["x"], at=NOW)
    assert [event.kind for event in fence.admit([row, log], speaker(1))] == [EventKind.LOG]
    assert fence.admit([row, log], speaker(2)) == [row, log]
    assert fence.admit([row, log], None) == [row, log]


def test_a_newer_attempt_in_the_same_commit_fences_off_what_comes_after_it() -> None:
    fence = Fence(Standing(Source(RUNNING)))
    row = factory.metrics(epoch=0, batch=0, phase="train", values={}, at=NOW)
    retried = factory.retried(Attempt(2), reason=FailureReason.NODE_LOST, message="lost", at=NOW)
    assert fence.admit([row], speaker(1)) == [row]
    fence.admit([retried], None)
    assert fence.admit([row], speaker(1)) == []
