"""What a version of a finished LoRA training is said to have been made with and of. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from thornback.artifacts.fetch import shown
from thornback.artifacts.files import without_secrets
from thornback.errors import Conflict
from thornback.jobs.state import Artifact, JobState
from thornback.jobs.status import JobStatus
from thornback.settings import Settings

WEIGHTS_TYPE = "lora"
WEIGHTS_NAME = "lora.safetensors"  # of the end; a run has others from its checkpoints

# What of a training's configuration says most about its result; the rest stays with the job.
_TOLD = (
    "rank",
    "alpha",
    "resolution",
    "batch_size",
    "optimizer",
    "lr_scheduler",
    "seed",
    "trainer",
    "base_model",
    "family",
)


def weights_of(job: JobState, settings: Settings) -> Artifact:
    """The LoRA file of a job that completed. Raises Conflict where it did not, or made none in its run folder."""
    if job.status is not JobStatus.COMPLETED:
        raise Conflict(f"job {job.id} is {job.status}; only what a completed job made can be a version", job_id=job.id)
    folder = f"{_path(settings.run_uri(job.id))}/"
    found = [
        artifact
        for artifact in job.artifacts.values()
        if artifact.type == WEIGHTS_TYPE and _path(artifact.uri).startswith(folder)
    ]
    if not found:
        raise Conflict(f"job {job.id} of kind {job.kind} has made no LoRA file", job_id=job.id)
    return max(found, key=lambda artifact: (artifact.name == WEIGHTS_NAME, artifact.at, artifact.name))


def config_of(job: JobState) -> dict[str, Any]:
    """The configuration of a version: trigger, steps, learning_rate and frame_count, and what else is telling."""
    config: Mapping[str, Any] = job.spec.get("config", {})
    told = {name: config[name] for name in _TOLD if config.get(name) is not None}
    return {
        "trigger": job.fact("trigger_word") or config.get("trigger_word"),
        "steps": job.fact("training_steps") or config.get("steps"),
        "learning_rate": config.get("learning_rate"),
        "frame_count": job.fact("dataset_size"),
        "backend": job.backend,
        **told,
    }


def lineage_of(job: JobState) -> dict[str, Any]:
    """Where a version comes from: `training` and `dataset`, as `models.publish` keeps them.

    A pipeline says more: `dataset.key` is the folder with its `dataset.json`, and `video` what that was made of.
    """
    config: Mapping[str, Any] = job.spec.get("config", {})
    training = {
        "job_id": job.id,
        "backend": job.backend,
        "trainer": config.get("trainer"),
        "provider_id": job.fact("provider_id"),
        "base_model": config.get("base_model"),
        "val_loss": job.best_val_loss,
    }
    source = config.get("dataset")
    dataset = {"uri": address(source) if isinstance(source, str) else None, "images": job.fact("dataset_size")}
    return {"training": _known(training), "dataset": _known(dataset)}


def address(uri: str) -> str:
    """An address for people: without credentials and signatures."""
    return shown(uri) if uri.startswith(("http://", "https://", "data:")) else without_secrets(uri)


def _path(uri: str) -> str:
    """An address without dots and without what only we need to reach it."""
    return posixpath.normpath(uri.partition("?")[0] if "://" in uri else uri)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
