"""Jobs from a video as the pipeline leaves them at each stage: datasets in the storage, a training, a version."""

from __future__ import annotations

import colorsys
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.fixtures.api import FIRST, ApiPlatform, Reports, now
from tests.fixtures.model_versions import lora_bytes
from thornback.artifacts.files import join, locate
from thornback.artifacts.layout import dataset_uri
from thornback.datasets.frame_folder import FrameFolder
from thornback.datasets.frame_new import NewFrame, Origin
from thornback.datasets.frame_set import DropReason, FrameSet, VideoSource
from thornback.jobs.events import EventFactory
from thornback.jobs.spec import VideoLoraSpec, parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.versions import ModelVersion
from thornback.jobs.video_lora import training_id
from thornback.jobs.video_stages import IN_ORDER, VideoStage
from thornback.metrics.port import NewJob
from thornback.models.publish import publish_version

SPEC: dict[str, Any] = {
    "kind": "video_lora",
    "backend": "ray",
    "job_name": "Fox",
    "config": {
        "video_url": "https://example.com/fox.mp4",
        "trigger_word": "ohwx",
        "model": "fox",
        "review": True,
        "base_model": "/models/flux",
    },
}
DROPPED = (DropReason.BLURRED, DropReason.DARK, DropReason.DUPLICATE)
EXPLAINED = {
    DropReason.BLURRED: "sharpness 4.1; the others have 12.5 or more",
    DropReason.DARK: "brightness 0.04 of 1",
    DropReason.DUPLICATE: "3 bits of 64 from 0000.jpg",
}


def picture(number: int, size: tuple[int, int] = (320, 180)) -> Image.Image:
    """A disk on a sky whose colours go on from frame to frame."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb((number * 0.07) % 1, 0.55, 0.8))
    image = Image.new("RGB", size, (red, green, blue))
    draw = ImageDraw.Draw(image)
    middle = size[0] * (0.5 + 0.3 * math.sin(number))
    draw.ellipse((middle - 40, 50, middle + 40, 130), fill=(250, 240, 220))
    draw.rectangle((0, size[1] - 36, size[0], size[1]), fill=(red // 3, green // 3, blue // 3))
    return image


def frames_in(folder: Path, count: int) -> list[NewFrame]:
    """Every third one is dropped, for one reason after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        picture(number).save(path, quality=85)
        kept = number % 3 != 2
        reason = None if kept else DROPPED[(number // 3) % len(DROPPED)]
        made.append(
            NewFrame(
                path=path,
                time_s=number * 1.7,
                scene=number // 4,
                width=320,
                height=180,
                kept=kept,
                reason=reason,
                explanation=EXPLAINED[reason] if reason else "",
                duplicate_of="0000" if reason is DropReason.DUPLICATE else None,
                scores={"sharpness": 12.5 - (8.4 if reason is DropReason.BLURRED else 0), "brightness": 0.42},
                caption=f"a photo of ohwx, number {number}" if kept else "",
                captioned_by="template" if kept else "",
            )
        )
    return made


def folder_of(api: ApiPlatform, job: JobState) -> FrameFolder:
    """Where its dataset lies."""
    return FrameFolder(dataset_uri(api.settings.storage, job.user, job.id))


def stage(job: JobState, stage: VideoStage) -> Any:
    """The event of entering a stage."""
    return EventFactory(job.id).stage(FIRST, index=IN_ORDER.index(stage), name=stage.value, at=now())


async def pipeline(api: ApiPlatform, at: VideoStage = VideoStage.REVIEW, **config: Any) -> JobState:
    """A running pipeline at a stage."""
    job = await api.create_spec(SPEC | {"config": SPEC["config"] | config})
    run = Reports(job.id)
    await api.record(run.started(), run.progress(at.begins_at, epoch=0, of=0), stage(job, at))
    return api.reader.job(job.id).state


def write_dataset(
    api: ApiPlatform, job: JobState, folder: Path, count: int = 12, *, for_review: bool = True
) -> FrameSet:
    """What the pipeline stores before a review."""
    source = VideoSource(name="https://example.com/fox.mp4", sha256="cd" * 32, duration_s=90.5, width=1920, height=1080)
    origin = Origin(
        job_id=job.id,
        trigger_word="ohwx",
        default_caption="a photo of ohwx",
        source=source,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return folder_of(api, job).write(frames_in(folder, count), origin, for_review=for_review)


async def with_training(api: ApiPlatform, job: JobState) -> Reports:
    """Its training, begun."""
    spec = parse_spec(job.spec)
    assert isinstance(spec, VideoLoraSpec)
    made = NewJob(
        job_id=training_id(job.id),
        spec=spec.training("/data/dataset.zip").model_dump(mode="json"),
        user=job.user,
        at=now(),
        parent_id=job.id,
    )
    child = (await api.recorder.create(made)).job
    run = Reports(child.id)
    facts = EventFactory(job.id).described(FIRST, {"training_id": child.id}, seq=1, at=now())
    await api.record(stage(job, VideoStage.TRAIN), facts, run.started())
    return run


async def with_version(api: ApiPlatform, job: JobState, *, steps: int = 1000, rate: float = 1e-4) -> ModelVersion:
    """The version that it becomes, and its end."""
    weights = join(api.settings.run_uri(job.id), "lora.safetensors")
    locate(weights).write_bytes(lora_bytes(2000, fill=int(job.id[:2], 16)))
    version = await publish_version(
        api.recorder,
        api.settings,
        model="fox",
        user=job.user,
        job_id=job.id,
        weights_uri=weights,
        config={"trigger": "ohwx", "steps": steps, "learning_rate": rate, "frame_count": 8},
        lineage={"training": {"job_id": training_id(job.id)}, "dataset": {"key": f"datasets/local/{job.id}"}},
        now=now(),
    )
    facts = {"model": "fox", "model_version": version.version}
    await api.record(EventFactory(job.id).described(FIRST, facts, seq=2, at=now()), Reports(job.id).succeeded())
    return version
