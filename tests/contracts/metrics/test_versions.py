"""Versions through every Recorder: what is promised to pipelines that publish at one moment, or twice."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from tests.contracts.metrics.conftest import FIRST, NOW, created
from thornback.errors import Conflict, InvalidInput, JobNotFound, NotFound
from thornback.jobs.events import EventFactory
from thornback.jobs.versions import NewVersion, VersionInUse, VersionPlan
from thornback.metrics.port import Recorder
from thornback.store.models import ModelReader
from thornback.store.read import StoreReader


def new_version(job_id: str, model: str, version: int = 1) -> NewVersion:
    return NewVersion(
        model=model,
        user="ada",
        version=version,
        job_id=job_id,
        key=f"loras/ada/{job_id}/v{version}/model.safetensors",
        size_bytes=10,
        sha256="00" * 32,
        at=NOW,
        config={"steps": 10},
        lineage={},
    )


@pytest.fixture
def model() -> str:
    """A name that no other test uses."""
    return f"m{uuid.uuid4().hex}"


async def test_many_jobs_at_once_get_numbers_without_gaps_or_doubles(
    recorder: Recorder, reader: StoreReader, model: str
) -> None:
    jobs = [await created(recorder) for _ in range(6)]

    async def publish(job_id: str) -> int:
        plan = await recorder.plan_version(user="ada", model=model, job_id=job_id)
        while plan.version is None:
            plan = await recorder.register_version(new_version(job_id, model, plan.next))
        return plan.version.version

    numbers = await asyncio.gather(*(publish(job_id) for job_id in [*jobs, *jobs[:2]]))
    assert sorted(numbers[:6]) == [1, 2, 3, 4, 5, 6]
    assert numbers[6:] == numbers[:2]
    kept = ModelReader(reader.engine).versions("ada", model).versions
    assert {version.job_id: version.version for version in kept} == dict(zip(jobs, numbers, strict=False))


async def test_a_repeat_gives_the_same_answer(recorder: Recorder, model: str) -> None:
    new = new_version(await created(recorder), model)
    first = await recorder.register_version(new)
    assert first.version is not None
    assert await recorder.register_version(new) == first
    assert await recorder.plan_version(user="ada", model=model, job_id=new.job_id) == first
    late = replace(new, job_id=await created(recorder))
    assert await recorder.register_version(late) == VersionPlan(next=2)


async def test_aliases_notes_and_the_end(recorder: Recorder, reader: StoreReader, model: str) -> None:
    new = new_version(await created(recorder), model)
    await recorder.register_version(new)
    await recorder.set_alias(user="ada", model=model, alias="production", version=1, by="ada", at=NOW)
    await recorder.note_version(user="ada", model=model, version=1, notes="the best so far")
    version = ModelReader(reader.engine).version("ada", model, "production")
    assert (version.notes, version.names) == ("the best so far", ("latest", "production"))
    with pytest.raises(VersionInUse) as caught:
        await recorder.delete_version(user="ada", model=model, version=1)
    assert caught.value.details == {"aliases": ["production"]}
    await recorder.set_alias(user="ada", model=model, alias="production", version=None, by="ada", at=NOW)
    await recorder.record([EventFactory(new.job_id).succeeded(FIRST, at=NOW)])
    for _ in range(2):
        await recorder.delete_version(user="ada", model=model, version=1)
    with pytest.raises(NotFound):
        ModelReader(reader.engine).model("ada", model)


async def test_what_cannot_be(recorder: Recorder, model: str) -> None:
    job_id = await created(recorder)
    with pytest.raises(InvalidInput, match="model"):
        await recorder.plan_version(user="ada", model="a/b", job_id=job_id)
    with pytest.raises(JobNotFound):
        await recorder.register_version(new_version(str(uuid.uuid4()), model))
    await recorder.register_version(new_version(job_id, model))
    with pytest.raises(Conflict, match=f"version 1 of model {model}"):
        await recorder.register_version(new_version(job_id, "another"))
    with pytest.raises(InvalidInput, match="alias"):
        await recorder.set_alias(user="ada", model=model, alias="latest", version=1, by="ada", at=NOW)
    with pytest.raises(NotFound):
        await recorder.note_version(user="ada", model=model, version=2, notes="")
    await recorder.delete(job_id)
    with pytest.raises(JobNotFound):
        await recorder.plan_version(user="ada", model=model, job_id=job_id)
