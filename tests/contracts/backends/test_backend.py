from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.backends.driver import entry
from tests.unit.dispatch.make import NOW
from thornback.backends.memory import MemoryBackend
from thornback.backends.port import Backend, BackendState, Phase, Resources, job_of, submission_id
from thornback.backends.ray_nodes import gcs_address
from thornback.errors import BackendError
from thornback.jobs.events import EventFactory
from thornback.jobs.reduce import reduce
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import PHASE_RUNNING, JobState, Mark


@pytest.fixture(params=["memory", "ray"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    if request.param == "memory":
        memory = MemoryBackend(entry, nodes={"node": Resources(4.0)})
        yield memory
        await memory.close()
        return
    from thornback.backends.ray_cluster import RayClusterBackend

    node = request.getfixturevalue("ray_node")
    entrypoints = {"convnext": "tests.contracts.backends.driver"}
    ray = RayClusterBackend(node.settings(tmp_path), entrypoints=entrypoints)
    yield ray
    for name, state in (await ray.survey()).submissions.items():
        if state.phase.is_alive:
            await ray.stop(name)


def job(name: str) -> JobState:
    job_id = str(uuid.uuid4())
    spec = parse_spec({"job_name": name, "config": {"accelerator": "cpu"}}).model_dump(mode="json")
    return reduce(JobState(id=job_id), EventFactory(job_id).created(spec, user="ada", at=NOW))


async def until(backend: Backend, name: str, *phases: Phase) -> BackendState:
    async with asyncio.timeout(60):
        while True:
            state = await backend.state(name)
            if state.phase in phases:
                return state
            await asyncio.sleep(0.05)


ENDED = (Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED)


async def test_what_was_never_started_is_unknown_and_no_error(backend: Backend) -> None:
    unknown = job("wait")
    name = submission_id(unknown.id, 1)

    assert await backend.state(name) == BackendState(phase=Phase.UNKNOWN)
    assert name not in (await backend.survey()).submissions
    assert await backend.log_tail(name, 5) == ""
    await backend.stop(name)
    await backend.forget(unknown)


async def test_a_submission_succeeds_and_leaves_its_log(backend: Backend) -> None:
    good = job("print 20 and exit 0")
    name = submission_id(good.id, 1)
    await backend.start(good, 1)

    state = await until(backend, name, *ENDED)

    assert (state.phase, state.exit_code) == (Phase.SUCCEEDED, 0)
    assert (await backend.log_tail(name, 3)).split("\n")[:3] == ["line 17", "line 18", "line 19"]
    assert (await backend.survey()).submissions[name].phase is Phase.SUCCEEDED


async def test_a_failure_has_its_exit_code(backend: Backend) -> None:
    bad = job("print 2 and exit 7")
    name = submission_id(bad.id, 1)
    await backend.start(bad, 1)

    state = await until(backend, name, *ENDED)

    assert (state.phase, state.exit_code) == (Phase.FAILED, 7)
    assert "line 1" in await backend.log_tail(name, 3)


async def test_starting_twice_starts_once_and_stopping_twice_is_no_error(backend: Backend) -> None:
    long = job("wait")
    name = submission_id(long.id, 1)
    await asyncio.gather(backend.start(long, 1), backend.start(long, 1))
    await until(backend, name, Phase.RUNNING)
    await backend.start(long, 1)
    mine = [key for key in (await backend.survey()).submissions if (job_of(key) or ("", 0))[0] == long.id]
    assert mine == [name]

    await backend.stop(name)
    await backend.stop(name)

    assert (await until(backend, name, *ENDED)).phase is Phase.STOPPED
    await backend.start(long, 1)  # a submission that has ended is not started again either
    assert (await backend.state(name)).phase is Phase.STOPPED


async def test_what_runs_is_not_forgotten_and_what_ended_is_with_all_its_attempts(backend: Backend) -> None:
    short = job("print 1 and exit 1")
    retried = replace(short, mark=Mark(2, 0, PHASE_RUNNING))
    for attempt in (1, 2):
        await backend.start(retried, attempt)
        await until(backend, submission_id(short.id, attempt), *ENDED)
    long = job("wait")
    await backend.start(long, 1)
    await until(backend, submission_id(long.id, 1), Phase.RUNNING)

    await backend.forget(retried)
    for attempt in (1, 2):
        assert (await backend.state(submission_id(short.id, attempt))).phase is Phase.UNKNOWN
    with pytest.raises(BackendError):
        await backend.forget(long)
    assert (await backend.state(submission_id(long.id, 1))).phase is Phase.RUNNING


async def test_what_ray_writes_down_of_a_driver_after_its_record_was_deleted_is_deleted_too(
    backend: Backend,
) -> None:
    if isinstance(backend, MemoryBackend):
        pytest.skip("Ray's own")
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.dashboard.modules.job.common import JobInfoStorageClient
    from ray.job_submission import JobStatus

    gone = job("wait")
    name = submission_id(gone.id, 1)
    await JobInfoStorageClient(GcsClient(address=gcs_address())).put_status(name, JobStatus.STOPPED)
    assert (await backend.state(name)).phase is Phase.STOPPED

    assert name not in (await backend.survey()).submissions
    assert (await backend.state(name)).phase is Phase.UNKNOWN


async def test_the_survey_shows_the_nodes(backend: Backend) -> None:
    survey = await backend.survey()

    assert survey.total == Resources(4.0, 0.0)
    [node] = survey.nodes
    assert node.total == Resources(4.0, 0.0)
    assert node.free.cpus <= 4.0
