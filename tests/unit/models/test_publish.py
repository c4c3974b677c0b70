"""A version is known when its files are whole at their place, on a folder and on S3."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.api import ApiPlatform, api_on
from tests.fixtures.model_versions import lora_bytes, trained
from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import Location, join, locate
from thornback.errors import Conflict, DataError, JobNotFound, NotFound, Unavailable
from thornback.jobs.state import JobState
from thornback.jobs.versions import ModelVersion, NewVersion, VersionPlan
from thornback.metrics.port import Recorder
from thornback.models import publish as publishing
from thornback.models.lineage import address, config_of, lineage_of, weights_of
from thornback.models.publish import publish_version, remove_files, weights_uri
from thornback.store.models import ModelReader

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CONFIG = {"trigger": "TOK", "steps": 40, "learning_rate": 1e-4, "frame_count": 12}


@pytest.fixture(params=["folder", "s3"])
async def platform(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> AsyncIterator[ApiPlatform]:
    storage = ""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        storage = server.uri(server.make_bucket(), "runs")
    async with api_on(sqlite_url, tmp_path, storage=storage) as platform:
        yield platform


async def publish(api: ApiPlatform, job: JobState, recorder: Recorder | None = None, **changes: Any) -> ModelVersion:
    arguments: Mapping[str, Any] = {
        "model": "mira",
        "user": "local",
        "job_id": job.id,
        "weights_uri": weights_of(job, api.settings).uri,
        "config": CONFIG,
        "lineage": lineage_of(job),
        "now": NOW,
        **changes,
    }
    return await publish_version(recorder or api.recorder, api.settings, **arguments)


def files(api: ApiPlatform) -> list[str]:
    return [entry.path for entry in locate(join(api.settings.storage, "loras")).files()]


async def test_the_layout_and_what_is_known(platform: ApiPlatform) -> None:
    content = lora_bytes(1000)
    job = await trained(platform, content)
    version = await publish(platform, job)
    digest = hashlib.sha256(content).hexdigest()
    assert version.key == f"loras/local/{job.id}/v1/model.safetensors"
    assert (version.version, version.size_bytes, version.sha256) == (1, len(content), digest)
    assert (version.created_at, version.config, version.names) == (NOW, CONFIG, ("latest",))
    assert locate(weights_uri(platform.settings, version)).read_bytes() == content
    config = json.loads(locate(join(platform.settings.storage, f"loras/local/{job.id}/v1/config.json")).read_bytes())
    assert config == {**CONFIG, "job_id": job.id, "sha256": digest, "size_bytes": len(content)}
    assert files(platform) == [f"local/{job.id}/v1/config.json", f"local/{job.id}/v1/model.safetensors"]


async def test_files_lie_with_those_of_their_job_whoever_has_the_model(platform: ApiPlatform) -> None:
    job = await trained(platform, user="webhook")
    assert (await publish(platform, job)).key == f"loras/webhook/{job.id}/v1/model.safetensors"


async def test_a_repeat_makes_nothing(platform: ApiPlatform) -> None:
    job = await trained(platform)
    first = await publish(platform, job)
    locate(weights_of(job, platform.settings).uri).delete_file()  # not even read again
    assert await publish(platform, job, now=datetime.now(UTC)) == first
    with pytest.raises(Conflict, match="version 1 of model mira"):
        await publish(platform, job, model="another")


async def test_many_at_once(platform: ApiPlatform) -> None:
    """Each numbers its copy by itself; whoever is late copies to the next number and leaves nothing behind."""
    jobs = [await trained(platform) for _ in range(5)]
    versions = await asyncio.gather(*(publish(platform, job) for job in [*jobs, *jobs[:2]]))
    assert sorted(version.version for version in versions[:5]) == [1, 2, 3, 4, 5]
    assert [version.version for version in versions[5:]] == [version.version for version in versions[:2]]
    kept = {
        version.job_id: version for version in ModelReader(platform.reader.engine).versions("local", "mira").versions
    }
    assert kept.keys() == {job.id for job in jobs}
    for job in jobs:
        content = locate(weights_of(job, platform.settings).uri).read_bytes()
        assert locate(weights_uri(platform.settings, kept[job.id])).read_bytes() == content
    assert len(files(platform)) == 10


async def test_a_copy_that_another_run_of_the_job_takes_away(
    platform: ApiPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs copy to a number that a third job has meanwhile; the first to be told deletes what the other reads."""
    job, faster = await trained(platform), await trained(platform)
    place = publishing._place
    numbers = []

    def disturbed(source: Location, target: Location, *rest: Any) -> Any:
        folder = target.at(target.path.rpartition("/")[0])
        numbers.append(folder.path.rpartition("/")[2])
        if len(numbers) > 1:
            return place(source, target, *rest)
        asyncio.run_coroutine_threadsafe(publish(platform, faster), loop).result(30)
        folder.delete_tree()
        raise NotFound(f"there is no file {folder.path}")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(publishing, "_place", disturbed)
    assert (await publish(platform, job)).version == 2
    assert numbers == ["v1", "v1", "v2"]
    assert len(files(platform)) == 4


@pytest.mark.parametrize(
    "content", [b"", b"not a model", lora_bytes(100)[:-1], lora_bytes(100) + b"\0", b"\x02\0\0\0\0\0\0\0{}"]
)
async def test_what_is_no_whole_file_is_no_version(platform: ApiPlatform, content: bytes) -> None:
    job = await trained(platform, content)
    with pytest.raises(DataError, match="no whole safetensors file"):
        await publish(platform, job)
    with pytest.raises(NotFound):
        ModelReader(platform.reader.engine).model("local", "mira")


async def test_the_checksum_that_the_job_told(platform: ApiPlatform) -> None:
    job = await trained(platform)
    with pytest.raises(DataError, match=f"not {'0' * 64}"):
        await publish(platform, job, sha256="0" * 64)
    told = weights_of(job, platform.settings).sha256
    assert (await publish(platform, job, sha256=told)).sha256 == told


async def test_weights_that_are_gone(platform: ApiPlatform) -> None:
    job = await trained(platform)
    locate(weights_of(job, platform.settings).uri).delete_file()
    with pytest.raises(NotFound):
        await publish(platform, job)
    await platform.recorder.delete(job.id)
    with pytest.raises(JobNotFound):
        await publish(platform, job)


class Interrupted:
    """A recorder whose first registration is lost on its way back, or on its way there."""

    def __init__(self, recorder: Recorder, *, committed: bool) -> None:
        self._recorder = recorder
        self._committed = committed
        self._lost = 1

    async def register_version(self, new: NewVersion) -> VersionPlan:
        if not self._lost:
            return await self._recorder.register_version(new)
        self._lost -= 1
        if self._committed:
            await self._recorder.register_version(new)
        raise Unavailable("the metrics actor did not answer")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorder, name)


@pytest.mark.parametrize("committed", [True, False])
async def test_an_answer_that_was_lost_loses_no_file(platform: ApiPlatform, committed: bool) -> None:
    job, other = await trained(platform), await trained(platform)
    recorder: Any = Interrupted(platform.recorder, committed=committed)
    with pytest.raises(Unavailable):
        await publish(platform, job, recorder)
    taken = await publish(platform, other)
    version = await publish(platform, job, recorder)
    assert (version.version, taken.version) == ((1, 2) if committed else (2, 1))
    assert locate(weights_uri(platform.settings, version)).exists()


async def test_files_go_with_their_version(platform: ApiPlatform) -> None:
    jobs = [await trained(platform) for _ in range(2)]
    versions = [await publish(platform, job) for job in jobs]
    await platform.recorder.delete_version(user="local", model="mira", version=1)
    await remove_files(platform.settings, versions[0])
    assert files(platform) == [f"local/{jobs[1].id}/v2/{name}" for name in ("config.json", "model.safetensors")]


async def test_what_a_training_says_of_itself(api: ApiPlatform) -> None:
    job = await trained(api, dataset="s3://key:secret@bucket/mira?region=x", learning_rate=2e-4)
    assert config_of(job) == {
        "trigger": "TOK",
        "steps": 40,
        "learning_rate": 2e-4,
        "frame_count": None,
        "backend": "ray",
        "rank": 16,
        "resolution": [512, 768, 1024],
        "batch_size": 1,
        "optimizer": "adamw",
        "lr_scheduler": "constant",
        "seed": 0,
        "base_model": "tiny",
        "family": "auto",
    }
    lineage = lineage_of(job)
    assert lineage["dataset"] == {"uri": "s3://bucket/mira"}
    assert lineage["training"] == {"job_id": job.id, "backend": "ray", "base_model": "tiny"}
    assert address("https://user:pw@example.com/a.zip?token=1") == "https://example.com/a.zip"
    assert address("upload:01935c1e") == "upload:01935c1e"


async def test_only_what_a_completed_job_made_in_its_own_folder(api: ApiPlatform) -> None:
    with pytest.raises(Conflict, match="only what a completed job made"):
        weights_of(await trained(api, ends=False), api.settings)
    job = await trained(api)
    assert weights_of(job, api.settings).name == "lora.safetensors"
    settings = api.settings.model_copy(update={"storage": f"{api.settings.storage}/elsewhere"})
    with pytest.raises(Conflict, match="made no LoRA file"):
        weights_of(job, settings)
    other = await api.create()
    with pytest.raises(Conflict, match="queued"):
        weights_of(other, api.settings)
