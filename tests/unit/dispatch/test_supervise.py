from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.dispatch.make import NOW
from thornback.backends.port import BackendState, Phase
from thornback.dispatch.supervise import Step, next_step
from thornback.jobs.state import PHASE_PENDING, PHASE_QUEUED, PHASE_RUNNING, PHASE_SCHEDULED, JobState, Mark
from thornback.jobs.status import JobStatus

NEW = JobState(id="job")
QUEUED_AGAIN = replace(NEW, mark=Mark(2, 0, PHASE_QUEUED))
PENDING = replace(NEW, mark=Mark(1, 0, PHASE_PENDING))
SCHEDULED = replace(NEW, mark=Mark(1, 0, PHASE_SCHEDULED))
PARKED = replace(QUEUED_AGAIN, parked=2, parked_at=NOW)
APPROVED = replace(PARKED, asked={"approve": NOW})
RUNNING = replace(NEW, mark=Mark(1, 0, PHASE_RUNNING))
ENDED = replace(RUNNING, final=JobStatus.COMPLETED, delete_requested=True, cancel_requested=True)


@pytest.mark.parametrize(
    ("job", "phase", "step"),
    [
        (NEW, Phase.UNKNOWN, Step.QUEUE),
        (QUEUED_AGAIN, Phase.UNKNOWN, Step.QUEUE),
        (PENDING, Phase.UNKNOWN, Step.QUEUE),
        (PARKED, Phase.UNKNOWN, Step.LEAVE),
        (APPROVED, Phase.UNKNOWN, Step.QUEUE),
        (SCHEDULED, Phase.UNKNOWN, Step.SUBMIT),  # it was written down, and then something died
        (SCHEDULED, Phase.PENDING, Step.LEAVE),
        (SCHEDULED, Phase.RUNNING, Step.LEAVE),
        (SCHEDULED, Phase.FAILED, Step.LOST),
        (RUNNING, Phase.RUNNING, Step.LEAVE),
        (RUNNING, Phase.UNKNOWN, Step.LOST),  # the cluster was restarted
        (RUNNING, Phase.FAILED, Step.LOST),
        (RUNNING, Phase.SUCCEEDED, Step.LOST),  # exit code 0 and no word of an end
        (RUNNING, Phase.STOPPED, Step.CANCEL),
        (ENDED, Phase.RUNNING, Step.STOP),
        (ENDED, Phase.SUCCEEDED, Step.PURGE),
        (ENDED, Phase.UNKNOWN, Step.PURGE),
    ],
)
def test_the_next_step(job: JobState, phase: Phase, step: Step) -> None:
    seen = BackendState(phase=phase)
    assert next_step(job, seen, cancel_seen_at=None, now=NOW, grace_s=5) is step


@pytest.mark.parametrize(
    ("job", "phase", "waited_s", "step"),
    [
        (NEW, Phase.UNKNOWN, 0, Step.CANCEL),
        (PENDING, Phase.UNKNOWN, 0, Step.CANCEL),
        (PARKED, Phase.UNKNOWN, 0, Step.CANCEL),
        (SCHEDULED, Phase.UNKNOWN, 0, Step.CANCEL),
        (SCHEDULED, Phase.PENDING, 0, Step.STOP),  # nobody is there who could hear of it
        (RUNNING, Phase.RUNNING, 4.9, Step.LEAVE),
        (RUNNING, Phase.RUNNING, 5.0, Step.STOP),
        (RUNNING, Phase.SUCCEEDED, 1, Step.CANCEL),
        (RUNNING, Phase.FAILED, 1, Step.CANCEL),
        (RUNNING, Phase.STOPPED, 6, Step.CANCEL),
        (RUNNING, Phase.UNKNOWN, 1, Step.CANCEL),
    ],
)
def test_a_cancel_gives_a_running_job_its_grace(job: JobState, phase: Phase, waited_s: float, step: Step) -> None:
    job = replace(job, cancel_requested=True)
    seen_at = NOW - timedelta(seconds=waited_s)
    assert next_step(job, BackendState(phase=phase), cancel_seen_at=seen_at, now=NOW, grace_s=5) is step
