"""What Ray says of a driver whose machine has gone, where nobody in Ray looks after it any more."""

from __future__ import annotations

import pytest
from ray.job_submission import JobDetails, JobStatus, JobType

from thornback.backends.port import Phase
from thornback.backends.ray_cluster import _state_among
from thornback.dispatch.diagnose import diagnose
from thornback.jobs.status import FailureReason

HERE, GONE = "a" * 56, "b" * 56


def details(status: JobStatus, node: str | None) -> JobDetails:
    return JobDetails(type=JobType.SUBMISSION, status=status, entrypoint="python -m job", driver_node_id=node)


@pytest.mark.parametrize(
    ("status", "node", "phase"),
    [
        (JobStatus.RUNNING, HERE, Phase.RUNNING),
        (JobStatus.RUNNING, GONE, Phase.FAILED),
        (JobStatus.RUNNING, None, Phase.RUNNING),  # its supervisor has just begun
        (JobStatus.PENDING, None, Phase.PENDING),
        (JobStatus.SUCCEEDED, GONE, Phase.SUCCEEDED),
    ],
)
def test_a_driver_does_not_outlive_its_node(status: JobStatus, node: str | None, phase: Phase) -> None:
    state = _state_among(details(status, node), {HERE})
    assert state.phase is phase
    if status is JobStatus.RUNNING and phase is Phase.FAILED:
        found = diagnose("", None, state.message)
        assert (found.reason, found.reason.is_retryable) == (FailureReason.NODE_LOST, True)
