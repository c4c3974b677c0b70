"""From the domain's objects to what goes over the wire. Pure: the time is passed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from serve_apps.api.schemas import ArtifactOut, Job, JobCreated, JobSummary, MetricOut
from thornback.artifacts.files import without_secrets
from thornback.backends.port import submission_id
from thornback.jobs.events import EventKind
from thornback.jobs.items import ItemStatus
from thornback.jobs.state import HEADLINE_METRICS, Artifact, JobState
from thornback.jobs.status import JobStatus
from thornback.masking import mask_deep
from thornback.metrics.port import QueuePlace, StreamEvent
from thornback.store.page import JobRow
from thornback.store.rows import MetricRow

API_PREFIX = "/api/v1/training"
# Facts that have a member of their own, with the type of it: in the list as well, or on the whole job only.
# A webhook's input says what its sender wrote there, so what has another type is left out.
SUMMARY_FACTS: Mapping[str, type] = {
    "provider_id": str,
    "provider_url": str,
    "cost_estimate_usd": float,
    "cost_usd": float,
    "images_total": int,
    "images_done": int,
    "images_failed": int,
}
JOB_FACTS: Mapping[str, type] = {
    "dataset_size": int,
    "train_samples": int,
    "val_samples": int,
    "mlflow_run_id": str,
    "provider_version": str,
    "input_images_url": str,
    "trigger_word": str,
    "captioning": str,
    "training_steps": int,
    "predict_time": float,
    "total_time": float,
}
METRIC_COLUMNS = (*HEADLINE_METRICS, "gradient_norm")


def job_created(job: JobState) -> JobCreated:
    """The answer to a POST, made only of what was known at creation, so that a repeat gets the same."""
    assert job.created_at is not None  # noqa: S101 - every job in the store was created
    first_run = submission_id(job.id, 1)
    return JobCreated(
        id=job.id,
        job_name=job.job_name,
        status=JobStatus.QUEUED,
        created_at=job.created_at,
        submission_id=first_run,
        celery_task_id=first_run,
        kind=job.kind,
        team=job.team,
        config=_config(job),
        total_epochs=job.total_epochs,
        retry_of=job.retry_of,
        resume_from=_shown(job.resume_from),
    )


def _config(job: JobState) -> dict[str, Any]:
    """As it was asked for; keys in it, as in addresses that are signed, are not shown."""
    shown: dict[str, Any] = mask_deep(job.spec.get("config", {}))
    return shown


def summary(row: JobRow, now: datetime) -> JobSummary:
    """A row of the list."""
    return JobSummary(**_summary_fields(row.state, row.queue, now))


def full(row: JobRow, now: datetime) -> Job:
    """Everything about one job."""
    job = row.state
    return Job(
        **_summary_fields(job, row.queue, now),
        config=_config(job),
        max_retries=job.spec.get("max_retries", 0),
        metrics={name: latest.value for name, latest in sorted(job.latest.items())},
        **_facts(job, JOB_FACTS),
        checkpoint_path=_shown(job.artifact_uri("checkpoint")),
        onnx_model_path=_shown(job.artifact_uri("onnx")),
        resume_from=_shown(job.resume_from),
        retry_message=job.retry_message,
        asked=dict(job.asked),
        facts={name: fact.value for name, fact in sorted(job.facts.items())},
        artifacts=artifacts(job),
    )


def artifacts(job: JobState) -> list[ArtifactOut]:
    """What a job produced, by name."""
    return [_artifact(job.id, artifact) for _, artifact in sorted(job.artifacts.items())]


def metric(row: MetricRow) -> MetricOut:
    """A row for the charts, from the database."""
    return MetricOut(
        event_id=row.id,
        timestamp=row.at,
        epoch=row.epoch,
        batch=row.batch,
        phase=row.phase,
        **_metric_columns(row.values),
    )


def metrics(rows: Iterable[MetricRow]) -> list[MetricOut]:
    """Rows for the charts."""
    return [metric(row) for row in rows]


def status_message(job: JobState, *, event_id: int, now: datetime) -> dict[str, Any]:
    """The `training_status` message of the live streams."""
    return {
        "event": "training_status",
        "job_id": job.id,
        "status": job.status.value,
        "current_epoch": job.current_epoch,
        "total_epochs": job.total_epochs,
        "progress_percent": job.progress_percent,
        "progress_origin": _origin(job),
        "metrics": {name: job.metric(name) for name in HEADLINE_METRICS},
        "error_message": job.error_message,
        "timestamp": wire_time(now),
        "event_id": event_id,
        "job_name": job.job_name,
        "stage": job.stage,
        "reason": job.waits_for,
        "eta_at": wire_time(job.eta_at) if job.eta_at is not None and not job.status.is_final else None,
        "attempt": job.attempt,
        "cancel_requested": job.cancel_requested,
        "best_epoch": job.best_epoch,
        "best_val_loss": job.best_val_loss,
        **_facts(job, SUMMARY_FACTS),
    }


def metrics_message(event: StreamEvent) -> dict[str, Any]:
    """A `metrics` message: the same columns as a row of the REST API."""
    data = event.data
    return {
        "event": "metrics",
        "job_id": event.job_id,
        "event_id": event.id,
        "timestamp": wire_time(event.at),
        "epoch": data["epoch"],
        "batch": data["batch"],
        "phase": data["phase"],
        **_metric_columns(data["values"]),
    }


def log_message(event: StreamEvent) -> dict[str, Any]:
    """A `log` message: lines that one process printed."""
    return {
        "event": "log",
        "job_id": event.job_id,
        "event_id": event.id,
        "timestamp": wire_time(event.at),
        **{name: event.data[name] for name in ("attempt", "restart", "rank", "seq", "lines")},
    }


def event_message(event: StreamEvent) -> dict[str, Any]:
    """Any event as the SSE streams carry it."""
    data = dict(mask_deep(event.data) if event.kind is EventKind.CREATED else event.data)
    data |= {name: without_secrets(data[name]) for name in ("uri", "resume_from") if isinstance(data.get(name), str)}
    if event.kind is EventKind.ITEM:
        data["image_url"] = _stored_image(event)
    return {
        "id": event.id,
        "job_id": event.job_id,
        "kind": event.kind.value,
        "at": wire_time(event.at),
        "data": data,
    }


def item_message(event: StreamEvent) -> dict[str, Any]:
    """An `item` message: an order at a provider moved; a stored image says where to see it."""
    return {
        "event": "item",
        "job_id": event.job_id,
        "event_id": event.id,
        "timestamp": wire_time(event.at),
        **{name: event.data.get(name) for name in ("item", "order", "status", "provider", "provider_id", "error")},
        "image_url": _stored_image(event),
    }


def wire_time(time: datetime) -> str:
    """RFC 3339 in UTC with a Z, as pydantic writes it."""
    return time.isoformat().replace("+00:00", "Z")


def artifact_url(job_id: str, name: str) -> str:
    """Where an artifact is downloaded, relative to the server."""
    return f"{API_PREFIX}/jobs/{job_id}/artifacts/{quote(name)}"


def image_url(job_id: str, item: int) -> str:
    """Where an image of a set is seen, relative to the server."""
    return f"/api/v1/image-sets/{job_id}/images/{item}"


def provider(job: JobState) -> str | None:
    """Who runs a job, None where it is this cluster."""
    return None if job.runner == "ray" else job.runner


def _stored_image(event: StreamEvent) -> str | None:
    data = event.data
    is_image = data["status"] == ItemStatus.STORED and str(data.get("content_type")).startswith("image/")
    return image_url(event.job_id, data["item"]) if is_image else None


def _facts(job: JobState, wanted: Mapping[str, type]) -> dict[str, Any]:
    return {name: _of_type(job.fact(name), kind) for name, kind in wanted.items()}


def _of_type(value: Any, kind: type) -> Any:
    if isinstance(value, bool) or value is None:
        return None
    if kind is str:
        return str(value) if isinstance(value, str | int | float) else None
    if not isinstance(value, int | float):
        return None
    return kind(value) if kind is float or value == int(value) else None


def _origin(job: JobState) -> str | None:
    return job.progress_origin if job.progress > 0 or job.status.is_final else None


def _shown(uri: str | None) -> str | None:
    """An address without the key to the storage that may be in it."""
    return None if uri is None else without_secrets(uri)


def _artifact(job_id: str, artifact: Artifact) -> ArtifactOut:
    return ArtifactOut(
        name=artifact.name,
        type=artifact.type,
        uri=without_secrets(artifact.uri),
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        created_at=artifact.at,
        url=artifact_url(job_id, artifact.name),
    )


def _summary_fields(job: JobState, queue: QueuePlace | None, now: datetime) -> dict[str, Any]:
    waits = job.status.is_waiting
    eta_at = None if job.status.is_final else job.eta_at
    return {
        "id": job.id,
        "job_name": job.job_name,
        "kind": job.kind,
        "backend": job.backend,
        "user": job.user,
        "team": job.team,
        "priority": job.priority,
        "tags": dict(job.spec.get("tags", {})),
        "status": job.status,
        "stage": job.stage,
        "reason": ((queue.reason if queue else None) or job.waits_for) if waits else None,
        "queue_position": queue.position if waits and queue else None,
        "cancel_requested": job.cancel_requested,
        "current_epoch": job.current_epoch,
        "total_epochs": job.total_epochs,
        "progress_percent": job.progress_percent,
        "progress_origin": _origin(job),
        "eta_at": eta_at,
        "eta_seconds": None if eta_at is None else max(0.0, (eta_at - now).total_seconds()),
        **{name: job.metric(name) for name in HEADLINE_METRICS},
        "best_epoch": job.best_epoch,
        "best_val_loss": job.best_val_loss,
        "model_architecture": job.model_architecture,
        "provider": provider(job),
        **_facts(job, SUMMARY_FACTS),
        "attempt": job.attempt,
        "submission_id": job.submission_id,
        "celery_task_id": job.submission_id,
        "retry_of": job.retry_of,
        "parent_id": job.parent_id,
        "error_message": job.error_message,
        "failure": job.failure,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
    }


def _metric_columns(values: Mapping[str, float | None]) -> dict[str, Any]:
    columns: dict[str, Any] = {name: values.get(name) for name in METRIC_COLUMNS}
    columns["extra"] = {name: value for name, value in values.items() if name not in METRIC_COLUMNS}
    return columns
