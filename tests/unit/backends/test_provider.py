from __future__ import annotations

import uuid

import pytest

from thornback.backends.port import Phase, Resources, submission_id
from thornback.backends.provider import ProviderBackend
from thornback.errors import BackendError, JobNotFound
from thornback.jobs.state import JobState


class Following:
    """A tracker that follows what it is told to."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.deleted: set[str] = set()

    async def start(self, job_id: str) -> None:
        if job_id in self.deleted:
            raise JobNotFound(job_id)
        if job_id not in self.jobs:
            self.jobs.append(job_id)

    async def cancel(self, job_id: str) -> None:
        if job_id in self.jobs:
            self.jobs.remove(job_id)

    async def alive(self) -> list[str]:
        return list(self.jobs)


@pytest.fixture
def tracker() -> Following:
    return Following()


@pytest.fixture
def backend(tracker: Following) -> ProviderBackend:
    return ProviderBackend("replicate", tracker, slots=2)


@pytest.fixture
def job() -> JobState:
    return JobState(id=str(uuid.uuid4()))


async def test_starting_twice_follows_once(backend: ProviderBackend, tracker: Following, job: JobState) -> None:
    await backend.start(job, 1)
    await backend.start(job, 1)
    assert tracker.jobs == [job.id]
    assert (await backend.state(submission_id(job.id, 1))).phase is Phase.RUNNING
    assert (await backend.state("something else")).phase is Phase.UNKNOWN


async def test_a_job_that_was_deleted_is_no_error(backend: ProviderBackend, tracker: Following, job: JobState) -> None:
    tracker.deleted.add(job.id)
    await backend.start(job, 1)
    assert tracker.jobs == []


async def test_stop_and_forget(backend: ProviderBackend, job: JobState) -> None:
    await backend.start(job, 1)
    with pytest.raises(BackendError):
        await backend.forget(job)
    await backend.stop(submission_id(job.id, 1))
    await backend.stop("something else")
    await backend.forget(job)
    assert (await backend.survey()).submissions == {}
    assert await backend.log_tail(submission_id(job.id, 1), 10) == ""


async def test_slots_are_counted(backend: ProviderBackend, job: JobState) -> None:
    others = [JobState(id=str(uuid.uuid4())) for _ in range(2)]
    for one in (job, *others):
        await backend.start(one, 1)
    survey = await backend.survey()
    [node] = survey.nodes
    assert (node.total, node.free, node.slots_of) == (Resources(2.0), Resources(0.0), "replicate")
    assert survey.holdings[submission_id(job.id, 1)] == Resources(1.0)
