"""What a version of a finished training is said to have been made with and of. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from thornback.artifacts.fetch import shown
from thornback.artifacts.files import without_secrets
from thornback.errors import Conflict
from thornback.jobs.state import Artifact, JobState
from thornback.jobs.status import JobStatus
from thornback.jobs.sweep import FACT_RESULT, FACT_TRIAL
from thornback.settings import Settings

WEIGHTS_NAME = "lora.safetensors"  # of the end; a run has others from its checkpoints
ONNX_TYPE = "onnx"
_WEIGHTS_TYPES: Mapping[str, str] = {"convnext": ONNX_TYPE}  # by kind; the others make LoRAs
_LORA_TYPE = "lora"

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
# The same of a classifier, and what its run found out.
_TOLD_OF_CLASSIFIER = (
    "model_architecture",
    "epochs",
    "batch_size",
    "weight_decay",
    "dropout_rate",
    "sample_rate",
    "clip_seconds",
    "seed",
)
_FOUND = ("class_names", "val_accuracy", "macro_f1", "chance")


def weights_of(job: JobState, settings: Settings) -> Artifact:
    """The file of a job that completed: a LoRA, of a classifier the ONNX model.

    Raises Conflict where it did not complete, or has none in its run folder.
    """
    if job.status is not JobStatus.COMPLETED:
        raise Conflict(f"job {job.id} is {job.status}; only what a completed job made can be a version", job_id=job.id)
    type = _WEIGHTS_TYPES.get(job.kind, _LORA_TYPE)
    folder = f"{_path(settings.run_uri(job.id))}/"
    found = [
        artifact
        for artifact in job.artifacts.values()
        if artifact.type == type and _path(artifact.uri).startswith(folder)
    ]
    if not found:
        raise Conflict(
            f"job {job.id} of kind {job.kind} has made no {'ONNX' if type == ONNX_TYPE else 'LoRA'} file", job_id=job.id
        )
    return max(found, key=lambda artifact: (artifact.name == WEIGHTS_NAME, artifact.at, artifact.name))


def config_of(job: JobState) -> dict[str, Any]:
    """The configuration of a version: trigger, steps, learning_rate and frame_count, and what else is telling.

    Of a classifier: what it listens for and hears in, and how well.
    """
    config: Mapping[str, Any] = job.spec.get("config", {})
    if job.kind in _WEIGHTS_TYPES:
        chosen = {name: config.get(name) for name in ("learning_rate", *_TOLD_OF_CLASSIFIER)}
        return {"backend": job.backend, **_known(chosen), **_known({name: job.fact(name) for name in _FOUND})}
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
    """Where a version comes from: `training` and `dataset`, as `models.publish` keeps them; of a trial its `sweep`.

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
    source = config.get("data" if job.kind in _WEIGHTS_TYPES else "dataset")
    size = "clips" if job.kind in _WEIGHTS_TYPES else "images"
    dataset = {"uri": address(source) if isinstance(source, str) else None, size: job.fact("dataset_size")}
    sweep = _sweep_of(job)
    return {"training": _known(training), "dataset": _known(dataset), **({"sweep": sweep} if sweep else {})}


def _sweep_of(job: JobState) -> dict[str, Any]:
    """Which trial of which sweep it was, of what it was the best, and with which values."""
    about, result = job.fact(FACT_TRIAL), job.fact(FACT_RESULT)
    if job.parent_id is None or not isinstance(about, Mapping):
        return {}
    told = {name: about.get(name) for name in ("parameters", "metric", "mode")}
    value = result.get("value") if isinstance(result, Mapping) else None
    return _known({"job_id": job.parent_id, "trial": about.get("number"), **told, "value": value})


def address(uri: str) -> str:
    """An address for people: without credentials and signatures."""
    return shown(uri) if uri.startswith(("http://", "https://", "data:")) else without_secrets(uri)


def _path(uri: str) -> str:
    """An address without dots and without what only we need to reach it."""
    return posixpath.normpath(uri.partition("?")[0] if "://" in uri else uri)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
