"""JobState -> the columns of its row. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any

from thornback.jobs.state import HEADLINE_METRICS, JobState
from thornback.store.admit import MAX_INT, clean_text
from thornback.store.state_codec import encode_state

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


def job_columns(job: JobState) -> dict[str, Any]:
    """Every column except the queue's, which the dispatcher's `set_queue` owns.

    Values are cut to what a column holds: the row is there for queries, `state` has the whole.
    """
    columns: dict[str, Any] = {
        "id": job.id,
        "job_name": _cut(job.job_name, 255) or "",
        "name_key": name_key(job.job_name),
        "kind": _cut(job.kind, 50),
        "backend": _cut(job.backend, 50),
        "user": _cut(job.user, 255) or "",
        "priority": job.priority,
        "tags": dict(job.spec.get("tags", {})),
        "retry_of": _cut(job.retry_of, 64),
        "resume_from": _cut(job.resume_from),
        "config": without_nul(job.spec.get("config", {})),
        "model_architecture": _cut(job.model_architecture, 100),
        "state": encode_state(job),
    }
    columns |= _where_it_stands(job)
    columns |= _what_it_measured(job)
    columns |= _at_the_provider(job)
    return columns


def _where_it_stands(job: JobState) -> dict[str, Any]:
    return {
        "status": job.status.value,
        "reason": _cut(job.waits_for),
        "stage": _cut(job.stage),
        "attempt": _int(job.attempt) or 0,
        "submission_id": _cut(job.submission_id, 255),
        "cancel_requested": job.cancel_requested,
        "delete_requested": job.delete_requested,
        "is_active": job.final is None or job.delete_requested,
        "created_at": job.created_at or _EPOCH_START,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "eta_at": job.eta_at,
        "failure": None if job.failure is None else job.failure.value,
        "error_message": _cut(job.error_message),
    }


def _what_it_measured(job: JobState) -> dict[str, Any]:
    columns: dict[str, Any] = {name: job.metric(name) for name in HEADLINE_METRICS}
    columns |= {name: _int(job.fact(name), 2**63 - 1) for name in ("dataset_size", "train_samples", "val_samples")}
    return columns | {
        "current_epoch": _int(job.current_epoch) or 0,
        "total_epochs": _int(job.total_epochs) or 0,
        "progress_percent": job.progress_percent,
        "best_epoch": _int(job.best_epoch),
        "best_val_loss": job.best_val_loss,
        "checkpoint_path": _cut(job.artifact_uri("checkpoint")),
        "onnx_model_path": _cut(job.artifact_uri("onnx")),
        "mlflow_run_id": _str(job.fact("mlflow_run_id"), 255),
    }


def _at_the_provider(job: JobState) -> dict[str, Any]:
    config = job.spec.get("config", {})
    elsewhere = None if job.backend == "ray" else job.backend
    return {
        "input_images_url": _str(job.fact("input_images_url")),
        "trigger_word": _str(job.fact("trigger_word"), 255),
        "captioning": _str(job.fact("captioning"), 50),
        "training_steps": _int(job.fact("training_steps")),
        "predict_time": _float(job.fact("predict_time")),
        "total_time": _float(job.fact("total_time")),
        "provider": _str(job.fact("provider"), 50) or _cut(elsewhere, 50),
        "provider_id": _str(job.fact("provider_id"), 255),
        "trainer": _str(job.fact("trainer"), 200) or _str(config.get("trainer"), 200),
        "cost_estimate_usd": _float(job.fact("cost_estimate_usd")),
        "cost_usd": _float(job.fact("cost_usd")),
    }


def name_key(name: str) -> str:
    """A name as it is searched and sorted: without case."""
    return clean_text(name).casefold()


def without_nul(value: Any) -> Any:
    """JSON for a JSONB column, which holds no NUL characters."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(name): without_nul(item) for name, item in value.items()}
    return [without_nul(item) for item in value] if isinstance(value, list) else value


def _cut(text: Any, length: int | None = None) -> str | None:
    return None if text is None else clean_text(str(text))[:length]


def _str(value: Any, length: int | None = None) -> str | None:
    return _cut(value, length) if isinstance(value, str) else None


def _float(value: Any) -> float | None:
    """A time or a price."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None


def _int(value: Any, most: int = MAX_INT) -> int | None:
    """A whole number that the column holds; a run may state anything as a fact."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None
