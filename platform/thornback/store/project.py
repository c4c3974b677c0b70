"""JobState -> the columns of its row. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from thornback.jobs.state import HEADLINE_METRICS, JobState
from thornback.store.admit import clean_text
from thornback.store.cells import cut, number_cell, text_cell, whole_cell
from thornback.store.columns import canonical_id
from thornback.store.state_codec import encode_state

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


def job_columns(job: JobState) -> dict[str, Any]:
    """Every column except the queue's, which the dispatcher's `set_queue` owns.

    Values are cut to what a column holds: the row is there for queries, `state` has the whole.
    """
    columns: dict[str, Any] = {
        "id": job.id,
        "job_name": cut(job.job_name, 255) or "",
        "name_key": name_key(job.job_name),
        "kind": cut(job.kind, 50),
        "backend": cut(job.backend, 50),
        "user": cut(job.user, 255) or "",
        "team": cut(job.team, 100),
        "priority": job.priority,
        "tags": dict(job.spec.get("tags", {})),
        "retry_of": cut(job.retry_of, 64),
        "parent_id": None if job.parent_id is None else canonical_id(job.parent_id),
        "resume_from": cut(job.resume_from),
        "config": without_nul(job.spec.get("config", {})),
        "model_architecture": cut(job.model_architecture, 100),
        "state": encode_state(job),
    }
    columns |= _where_it_stands(job)
    columns |= _what_it_measured(job)
    columns |= _at_the_provider(job)
    return columns


def _where_it_stands(job: JobState) -> dict[str, Any]:
    return {
        "status": job.status.value,
        "reason": cut(job.waits_for),
        "stage": cut(job.stage),
        "attempt": whole_cell(job.attempt) or 0,
        "submission_id": cut(job.submission_id, 255),
        "cancel_requested": job.cancel_requested,
        "delete_requested": job.delete_requested,
        "is_active": job.final is None or job.delete_requested,
        "created_at": job.created_at or _EPOCH_START,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "eta_at": job.eta_at,
        "failure": None if job.failure is None else job.failure.value,
        "error_message": cut(job.error_message),
    }


def _what_it_measured(job: JobState) -> dict[str, Any]:
    columns: dict[str, Any] = {name: job.metric(name) for name in HEADLINE_METRICS}
    columns |= {
        name: whole_cell(job.fact(name), 2**63 - 1) for name in ("dataset_size", "train_samples", "val_samples")
    }
    return columns | {
        "current_epoch": whole_cell(job.current_epoch) or 0,
        "total_epochs": whole_cell(job.total_epochs) or 0,
        "progress_percent": job.progress_percent,
        "best_epoch": whole_cell(job.best_epoch),
        "best_val_loss": job.best_val_loss,
        "checkpoint_path": cut(job.artifact_uri("checkpoint")),
        "onnx_model_path": cut(job.artifact_uri("onnx")),
        "mlflow_run_id": text_cell(job.fact("mlflow_run_id"), 255),
    }


def _at_the_provider(job: JobState) -> dict[str, Any]:
    config = job.spec.get("config", {})
    elsewhere = None if job.runner == "ray" else job.runner
    return {
        "input_images_url": text_cell(job.fact("input_images_url")),
        "trigger_word": text_cell(job.fact("trigger_word"), 255),
        "captioning": text_cell(job.fact("captioning"), 50),
        "training_steps": whole_cell(job.fact("training_steps")),
        "predict_time": number_cell(job.fact("predict_time")),
        "total_time": number_cell(job.fact("total_time")),
        "provider": text_cell(job.fact("provider"), 50) or cut(elsewhere, 50),
        "provider_id": text_cell(job.fact("provider_id"), 255),
        "trainer": text_cell(job.fact("trainer"), 200) or text_cell(config.get("trainer"), 200),
        "cost_estimate_usd": number_cell(job.fact("cost_estimate_usd")),
        "cost_usd": number_cell(job.fact("cost_usd")),
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
