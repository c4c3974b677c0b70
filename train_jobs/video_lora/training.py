"""The later half of a pipeline: the training, its LoRA, and the version that it becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from anyio.to_thread import run_sync

from thornback.artifacts.files import join, locate
from thornback.artifacts.layout import MODEL_FILE
from thornback.errors import DataError
from thornback.jobs.state import JobState
from thornback.jobs.versions import ModelVersion
from thornback.jobs.video_lora import training_id
from thornback.jobs.video_stages import VideoStage
from thornback.models.lineage import config_of, lineage_of, weights_of
from thornback.models.publish import publish_version
from train_jobs.video_lora.child import Child, seconds_left, stage_text
from train_jobs.video_lora.dataset import Dataset
from train_jobs.video_lora.run import Run
from train_jobs.video_lora.steps import Done

MADE = "training_made"


async def train(run: Run, dataset: Dataset) -> JobState:
    """Have the platform train on the dataset. Returns the training's job, which has completed.

    Raises:
        TrainingFailed: it did not complete; says why.
    """
    spec = run.spec.training(dataset.archive)
    child = Child(run.recorder, run.job)
    inputs = {"dataset": dataset.content, "training": spec.model_dump(mode="json")}
    steps = float(getattr(spec.config, "steps", None) or 1)

    def tell(job: JobState) -> None:
        run.teller.say(stage_text(job))
        run.teller.at(job.progress_percent / 100, told_s=seconds_left(job, datetime.now(UTC)))

    async def work() -> Done:
        run.teller.size(VideoStage.TRAIN, steps)
        # One that was made and is not there has been deleted: it is not made, nor paid, again.
        if not await run_sync(run.steps.journal.has_mark, MADE):
            await child.create(spec)
            await run_sync(run.steps.journal.set_mark, MADE)
        run.reporter.describe(training_id=child.id)
        job = await child.follow(tell)
        return Done(output={"job_id": job.id}, size=steps, seconds=_seconds(job))

    await run.steps.take(VideoStage.TRAIN, inputs, work)
    return await child.follow(lambda job: None)


async def collect(run: Run, trained: JobState) -> Mapping[str, Any]:
    """Look at every byte of the LoRA that the training left in the storage; returns its `uri`, size and SHA-256.

    Raises:
        DataError: there is none, or not the one that was trained.
    """
    artifact = weights_of(trained, run.settings)
    inputs = {"uri": artifact.uri, "sha256": artifact.sha256, "size": artifact.size_bytes}

    async def work() -> Done:
        size, sha256 = await run_sync(_read, artifact.uri, artifact.size_bytes, run)
        if artifact.sha256 is not None and artifact.sha256 != sha256:
            raise DataError(f"the LoRA of training {trained.id} was changed: SHA-256 {sha256}, not {artifact.sha256}")
        return Done(output={"uri": artifact.uri, "sha256": sha256, "size_bytes": size})

    return await run.steps.take(VideoStage.COLLECT, inputs, work)


async def publish(run: Run, trained: JobState, dataset: Dataset, weights: Mapping[str, Any]) -> ModelVersion:
    """Make the LoRA the next version of its model; a second call finds the first one's."""
    model = run.config.model_name(run.spec.job_name)
    config = {**config_of(trained), "trigger": run.config.trigger_word, "frame_count": dataset.images}
    lineage = {**lineage_of(trained), "dataset": dataset.lineage(), "video": dataset.video()}
    made: list[ModelVersion] = []

    async def work() -> Done:
        version = await publish_version(
            run.recorder,
            run.settings,
            model=model,
            user=run.job.user,
            job_id=run.job.id,
            weights_uri=weights["uri"],
            config=config,
            lineage=lineage,
            now=datetime.now(UTC),
            sha256=weights["sha256"],
        )
        made.append(version)
        return Done(output={"model": model, "version": version.version, "sha256": version.sha256})

    # Always asked: somebody may have deleted the version since.
    await run.steps.do(VideoStage.PUBLISH, {"model": model, "sha256": weights["sha256"]}, work)
    version = made[-1]
    uri = join(run.settings.storage, version.key)
    run.reporter.artifact(name=MODEL_FILE, type="lora", uri=uri, size_bytes=version.size_bytes, sha256=version.sha256)
    run.reporter.describe(model=model, model_version=version.version, training_id=training_id(run.job.id))
    return version


def _read(uri: str, size_bytes: int | None, run: Run) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in locate(uri).chunks():
        run.check()
        digest.update(chunk)
        size += len(chunk)
        run.teller.at(size / size_bytes if size_bytes else 0.5)
    return size, digest.hexdigest()


def _seconds(job: JobState) -> float | None:
    """From its start to its end; how long it waited in the queue says nothing about the next one."""
    if job.started_at is None or job.completed_at is None:
        return None
    return max(0.0, (job.completed_at - job.started_at).total_seconds())
