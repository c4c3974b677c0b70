"""Copies the rows of the source's tables into ours, for revision 0002.

It writes the JSON of `training_jobs.state` as that revision has it, and imports nothing that may change.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

_FINAL = ("completed", "failed", "cancelled")
# attempt, restart and phase (0 queued, 1 pending, 3 running)
_MARKS = {"queued": [0, 0, 0], "pending": [1, 0, 1]}
_RAN = [1, 0, 3]
_END_OF_EPOCH = 2**31 - 1
_METRICS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate")
_ROW_METRICS = (*_METRICS, "gradient_norm")
_FACTS = ("dataset_size", "train_samples", "val_samples", "mlflow_run_id")
_BATCH = 5000
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)

# Only columns whose values need a conversion have a type here.
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("id", "job_id", "training_job_id"), sa.Uuid(as_uuid=False)),
    **dict.fromkeys(("at", "timestamp", "created_at", "started_at", "completed_at"), sa.DateTime(timezone=True)),
    **dict.fromkeys(("tags", "state", "data"), sa.JSON(none_as_null=True)),
    # JSONB takes JSON text that is cast by the column's own type
    "config": sa.JSON(none_as_null=True),
}


def copy_source(connection: sa.Connection) -> None:
    """Move every row, and write the events that tell the same."""
    jobs = [_job(dict(row)) for row in connection.execute(sa.text("SELECT * FROM source_jobs")).mappings()]
    jobs.sort(key=lambda job: (job["created_at"], job["id"]))
    events = _Events(connection)
    if jobs:
        _insert(connection, "training_jobs", jobs)
    for job in jobs:
        data = {"spec": job["state"]["spec"], "user": "", "retry_of": None, "resume_from": None}
        events.add(job["id"], "api", "created", "created", data, job["created_at"])
    events.flush()
    for rows in _metric_pages(connection):
        metrics = [_metric(row, {job["id"] for job in jobs}, events) for row in rows]
        events.flush()
        _insert(connection, "training_metrics", metrics)
    for job in jobs:
        end = _end(job)
        if end is not None:
            events.add(job["id"], "end", "end", *end, job["completed_at"] or job["created_at"])
    events.flush()


class _Events:
    """Numbers the events and keeps their keys apart."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._rows: list[dict[str, Any]] = []
        self._keys: set[tuple[str, str]] = set()
        self._last = 0

    def add(self, job_id: str, source: str, key: str, kind: str, data: dict[str, Any] | None, at: datetime) -> int:
        """The id of the new event."""
        self._last += 1
        if (job_id, key) in self._keys:  # the source's table allowed a second row of one epoch
            key = f"{key}:{self._last}"
        self._keys.add((job_id, key))
        row = {"id": self._last, "job_id": job_id, "source": source, "key": key, "kind": kind, "data": data, "at": at}
        self._rows.append(row)
        return self._last

    def flush(self) -> None:
        """Write what was added."""
        if self._rows:
            _insert(self._connection, "job_events", self._rows, id=sa.BigInteger())
        self._rows = []


def _job(row: dict[str, Any]) -> dict[str, Any]:
    started, completed = _time(row["started_at"]), _time(row["completed_at"])
    created = _time(row["created_at"]) or started or completed or _EPOCH_START
    status = row["status"] or "pending"
    config = _object(row["config"])
    epochs = row["total_epochs"]
    job: dict[str, Any] = {
        "id": _id(row["id"]),
        "job_name": row["job_name"],
        "name_key": row["job_name"].casefold(),
        "kind": "convnext",
        "backend": "ray",
        "user": "",
        "priority": 0,
        "tags": {},
        "status": status,
        "attempt": _MARKS.get(status, _RAN)[0],
        "submission_id": row["celery_task_id"],
        "cancel_requested": False,
        "delete_requested": False,
        "is_active": status not in _FINAL,
        "created_at": created,
        "started_at": started,
        "completed_at": completed,
        "config": config,
        "model_architecture": row["model_architecture"] or config.get("model_architecture"),
        "current_epoch": row["current_epoch"] or 0,
        "total_epochs": epochs,
        "progress_percent": 100.0 if status == "completed" else min(row["progress_percent"] or 0.0, 99.0),
        "failure": "exception" if status == "failed" else None,
        "error_message": row["error_message"],
        **{name: row[name] for name in (*_METRICS, *_FACTS)},
        **{name: row[name] for name in ("best_epoch", "best_val_loss", "checkpoint_path", "onnx_model_path")},
    }
    job["state"] = _state(job)
    return job


def _state(job: dict[str, Any]) -> dict[str, Any]:
    mark = _MARKS.get(job["status"], _RAN)
    at = (job["completed_at"] or job["created_at"]).isoformat()
    spec = {
        "job_name": job["job_name"],
        "priority": 0,
        "max_retries": 0,  # what ran elsewhere is not started again by itself
        "tags": {},
        "kind": "convnext",
        "backend": "ray",
        "config": job["config"],
    }
    same = "id kind backend job_name user priority total_epochs model_architecture submission_id current_epoch"
    same += " best_epoch best_val_loss failure error_message"
    artifacts = (("checkpoint", job["checkpoint_path"]), ("onnx", job["onnx_model_path"]))
    return {
        **{name: job[name] for name in same.split()},
        **{name: job[name] and job[name].isoformat() for name in ("created_at", "started_at", "completed_at")},
        "spec": spec,
        "mark": mark,
        "submission_attempt": mark[0] if job["submission_id"] else 0,
        "progress": min(job["progress_percent"], 99.0),
        "final": job["status"] if job["status"] in _FINAL else None,
        "latest": {
            name: [job["current_epoch"], _END_OF_EPOCH, job[name]] for name in _METRICS if job[name] is not None
        },
        "facts": {name: [*_RAN, at, job[name]] for name in _FACTS if job[name] is not None},
        "artifacts": [[kind, kind, path, None, None, at] for kind, path in artifacts if path],
    }


def _end(job: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    run = {"attempt": 1, "restart": 0}
    if job["status"] == "completed":
        return "succeeded", {**run, "summary": {}}
    if job["status"] == "failed":
        return "failed", {**run, "reason": job["failure"], "message": job["error_message"] or ""}
    return ("cancelled", {"message": job["error_message"] or ""}) if job["status"] == "cancelled" else None


def _metric_pages(connection: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    # by the key, so that a table of any size goes through little memory
    first = sa.text("SELECT * FROM source_metrics ORDER BY timestamp, id LIMIT :limit")
    later = sa.text(
        "SELECT * FROM source_metrics WHERE (timestamp, id) > (:timestamp, :id) ORDER BY timestamp, id LIMIT :limit"
    )
    rows = [dict(row) for row in connection.execute(first, {"limit": _BATCH}).mappings()]
    while rows:
        last = rows[-1]
        place = {"timestamp": last["timestamp"], "id": last["id"], "limit": _BATCH}
        yield rows
        rows = [dict(row) for row in connection.execute(later, place).mappings()]


def _metric(row: dict[str, Any], jobs: set[str], events: _Events) -> dict[str, Any]:
    at = _time(row["timestamp"])
    assert at is not None  # noqa: S101 - a part of the primary key
    job_id = None if row["training_job_id"] is None else _id(row["training_job_id"])
    metric = {name: row[name] for name in ("epoch", "batch", "phase", *_ROW_METRICS)}
    metric |= {"timestamp": at, "id": _id(row["id"]), "training_job_id": None, "event_id": 0}
    if job_id in jobs:  # else a row that belongs to no job: kept, and shown nowhere
        batch = "" if row["batch"] is None else row["batch"]
        key = f"metrics:{row['phase'] or ''}:{row['epoch']}:{batch}"
        metric |= {"training_job_id": job_id, "event_id": events.add(job_id, "train", key, "metrics", None, at)}
    return metric


def _insert(connection: sa.Connection, table: str, rows: list[dict[str, Any]], **types: Any) -> None:
    columns = [sa.column(name, {**_TYPES, **types}.get(name)) for name in rows[0]]
    connection.execute(sa.insert(sa.table(table, *columns)), rows)


def _id(value: Any) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _object(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str | bytes) else value
    return found if isinstance(found, dict) else {}
