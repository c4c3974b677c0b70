"""From jobs to the answers that the source's front ends know. Pure: the time is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from serve_apps.api import views
from serve_apps.api.seed_schemas import ModelStatus, SyncAnswer, TrainingLogs
from serve_apps.api.urls import BaseUrl
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.store.page import JobRow
from thornback.store.rows import LogChunk

# The first of these that a job has is its model.
_MODEL_TYPES = ("lora", "model", "onnx")

_WORD_OF_ITEM = {
    ItemStatus.INTENDED: "starting",
    ItemStatus.SENT: "starting",
    ItemStatus.PROCESSING: "processing",
    ItemStatus.SUCCEEDED: "succeeded",
    ItemStatus.FAILED: "failed",
    ItemStatus.CANCELLED: "canceled",
    ItemStatus.STORED: "succeeded",
}
_WORD_OF_JOB = {
    JobStatus.QUEUED: "starting",
    JobStatus.PENDING: "starting",
    JobStatus.RUNNING: "processing",
    JobStatus.COMPLETED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "canceled",
}


def model_status(row: JobRow, now: datetime, base: BaseUrl) -> ModelStatus:
    """T9's answer."""
    return ModelStatus(**_status_fields(row, now, base))


def sync_answer(row: JobRow, now: datetime, base: BaseUrl, *, imported: bool) -> SyncAnswer:
    """T5's answer."""
    return SyncAnswer(**_status_fields(row, now, base), imported=imported)


def training_logs(
    row: JobRow,
    items: Sequence[ItemState],
    chunks: Sequence[LogChunk],
    now: datetime,
    base: BaseUrl,
    *,
    problem: str | None,
) -> TrainingLogs:
    """T1's answer; `problem` says why the provider was not asked."""
    job = views.summary(row, now)
    return TrainingLogs(
        **_status_fields(row, now, base),
        provider_status=provider_word(row.state, items),
        logs="".join(f"{line}\n" for chunk in chunks for line in chunk.lines),
        progress_origin=job.progress_origin,
        eta=job.eta_at,
        eta_seconds=job.eta_seconds,
        synced=problem is None,
        sync_problem=problem,
    )


def provider_word(job: JobState, items: Sequence[ItemState]) -> str:
    """Where it stands, in Replicate's words: that of the training's order, of many the job's own."""
    if len(items) == 1 and not job.status.is_final:
        return _WORD_OF_ITEM[items[0].status]
    return _WORD_OF_JOB[job.status]


def model_url(job: JobState, base: BaseUrl) -> str | None:
    """Where the finished model is: `owner/name:version` at Replicate, else our own address of the file."""
    version = job.fact("provider_version")
    if isinstance(version, str):
        destination = job.spec.get("config", {}).get("destination")
        return version if "/" in version or destination is None else f"{destination}:{version}"
    for type in _MODEL_TYPES:
        found = [artifact for artifact in job.artifacts.values() if artifact.type == type]
        if found:
            newest = max(found, key=lambda artifact: (artifact.at, artifact.name))
            return base.http(views.artifact_url(job.id, newest.name))
    return None


def _status_fields(row: JobRow, now: datetime, base: BaseUrl) -> dict[str, Any]:
    job = views.full(row, now)
    return {
        "id": job.id,
        "name": job.job_name,
        "status": job.status,
        "progress": job.progress_percent,
        "stage": job.stage,
        "model_url": model_url(row.state, base),
        "trigger_word": job.trigger_word or job.config.get("trigger_word"),
        "error": job.error_message,
        "provider": job.provider,
        "training_id": job.provider_id,
        "url": job.provider_url,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
    }
