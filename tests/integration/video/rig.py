"""A platform on which pipelines run: dispatcher, metrics actor, trackers of simulated providers, real drivers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import load

from tests.integration.dispatch.rig import Rig
from thornback.artifacts.files import join, locate
from thornback.datasets.frame_folder import FrameFolder
from thornback.datasets.frame_set import FrameSet
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.jobs.versions import ModelVersion
from thornback.jobs.video_lora import training_id
from thornback.metrics.port import NewJob
from thornback.store.models import ModelReader
from train_jobs.video_lora.run import work_folder

ENTRIES = {
    "video_lora": "tests.integration.video.entry",
    "lora": "train_jobs.lora",
}
PATIENCE_S = 240.0


def body(video: Path | str, backend: str = "fal", *, tags: Mapping[str, str] | None = None, **config: Any) -> Any:
    """A pipeline of the sample clip."""
    given = {"video_url": str(video), "trigger_word": "TOK", "model": "fish", "steps": 60, **config}
    return {
        "kind": "video_lora",
        "backend": backend,
        "job_name": "A fish",
        "tags": dict(tags or {}),
        "max_retries": 20,
        "config": given,
    }


async def post(rig: Rig, spec: Mapping[str, Any]) -> str:
    """As the API does it."""
    job_id = str(uuid.uuid4())
    made = parse_spec(spec).model_dump(mode="json")
    await rig.recorder.create(NewJob(job_id=job_id, spec=made, user="ada", at=datetime.now(UTC)))
    return job_id


async def ended(rig: Rig, job_id: str, within_s: float = PATIENCE_S) -> JobState:
    """Wait for the end."""
    return await rig.until(job_id, lambda job: job.final is not None, within_s=within_s)


def version_of(rig: Rig, job_id: str) -> ModelVersion | None:
    """What the pipeline made."""
    return ModelReader(rig.reader.engine).of_job(job_id)


def dataset_of(rig: Rig, job_id: str) -> FrameSet:
    """As it lies in the storage."""
    return FrameFolder(join(rig.settings.storage, "datasets", "ada", job_id)).read()


def percents(rig: Rig, job_id: str) -> list[float]:
    """All that was told, in order."""
    return [event.data["percent"] for event in rig.reader.events(0, job_id=job_id) if event.kind.value == "progress"]


def stages(rig: Rig, job_id: str) -> list[str]:
    """All that was told, in order."""
    return [event.data["name"] for event in rig.reader.events(0, job_id=job_id) if event.kind.value == "stage"]


def assert_whole(rig: Rig, job: JobState, *, scenes: int) -> ModelVersion:
    """Everything is where the layout says, once, and nothing else is left."""
    assert job.status is JobStatus.COMPLETED, job.error_message
    storage = rig.settings.storage
    version = version_of(rig, job.id)
    assert version is not None
    assert version.key == f"loras/ada/{job.id}/v{version.version}/model.safetensors"
    assert load(locate(join(storage, version.key)).read_bytes())
    frames = dataset_of(rig, job.id)
    assert (frames.sealed, len(frames.kept)) == (True, version.config["frame_count"])
    assert {frame.scene for frame in frames.kept} == set(range(scenes))
    dataset = locate(join(storage, "datasets", "ada", job.id))
    images = {entry.path.partition(".")[0] for entry in (dataset / "images").files()}
    captions = {entry.path.partition(".")[0] for entry in (dataset / "captions").files()}
    assert images == captions == {frame.id for frame in frames.kept}
    assert {frame.caption for frame in frames.kept} == {"a photo of TOK"}
    assert locate(join(storage, "temp", job.id)).files() == []
    assert not work_folder(rig.settings, job.id).exists()
    [part] = rig.reader.parts(job.id)
    assert (part.id, part.status, part.backend) == (training_id(job.id), JobStatus.COMPLETED, job.backend)
    assert version.lineage["training"]["job_id"] == part.id
    assert version.lineage["video"]["sha256"] == frames.source.sha256
    return version
