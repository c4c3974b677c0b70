"""JobState <-> the JSON of `training_jobs.state`.

Written by hand because it runs for every job of every commit. Reading supplies the default of each
field that is missing, so that rows of an older release can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from thornback.jobs.state import Artifact, Fact, JobState, Latest, Mark
from thornback.jobs.status import FailureReason, JobStatus

_PLAIN = (
    "id",
    "kind",
    "backend",
    "job_name",
    "user",
    "team",
    "priority",
    "retry_of",
    "parent_id",
    "resume_from",
    "traceparent",
    "total_epochs",
    "model_architecture",
    "reason",
    "stage",
    "submission_id",
    "submission_attempt",
    "cancel_requested",
    "delete_requested",
    "stop_reason",
    "ended_early",
    "progress",
    "progress_origin",
    "current_epoch",
    "best_epoch",
    "best_val_loss",
    "error_message",
    "retry_message",
    "parked",
)
_TIMES = ("created_at", "priority_at", "reason_at", "started_at", "completed_at", "eta_at", "parked_at")


def encode_state(job: JobState) -> dict[str, Any]:
    """A JSON-ready dict that `decode_state` turns into an equal JobState."""
    data: dict[str, Any] = {name: getattr(job, name) for name in _PLAIN}
    for name in _TIMES:
        at: datetime | None = getattr(job, name)
        data[name] = None if at is None else at.isoformat()
    data["spec"] = dict(job.spec)
    data["final"] = None if job.final is None else job.final.value
    data["failure"] = None if job.failure is None else job.failure.value
    data["mark"] = _from_mark(job.mark)
    data["retry_mark"] = _from_mark(job.retry_mark)
    data["stage_mark"] = [*_from_mark(job.stage_mark[0]), job.stage_mark[1]]
    data["eta_mark"] = [*_from_mark(job.eta_mark[0]), job.eta_mark[1]]
    data["latest"] = {name: [latest.epoch, latest.batch, latest.value] for name, latest in job.latest.items()}
    data["facts"] = {
        name: [*_from_mark(fact.mark), fact.at.isoformat(), fact.value] for name, fact in job.facts.items()
    }
    data["moves"] = list(job.moves)
    data["asked"] = {what: at.isoformat() for what, at in job.asked.items()}
    data["artifacts"] = [
        [item.name, item.type, item.uri, item.size_bytes, item.sha256, item.at.isoformat()]
        for item in job.artifacts.values()
    ]
    return data


def decode_state(data: Mapping[str, Any]) -> JobState:
    """The JobState that `encode_state` wrote."""
    fields: dict[str, Any] = {name: data[name] for name in _PLAIN if name in data}
    for name in _TIMES:
        if data.get(name) is not None:
            fields[name] = datetime.fromisoformat(data[name])
    for name in ("mark", "retry_mark"):
        if name in data:
            fields[name] = Mark(*data[name])
    for name in ("stage_mark", "eta_mark"):
        if name in data:
            attempt, restart, phase, order = data[name]
            fields[name] = (Mark(attempt, restart, phase), order)
    if data.get("final") is not None:
        fields["final"] = JobStatus(data["final"])
    if data.get("failure") is not None:
        fields["failure"] = FailureReason(data["failure"])
    return JobState(**fields, **_collections(data))


def _collections(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "spec": data.get("spec", {}),
        "moves": tuple(data.get("moves", ())),
        "latest": {
            name: Latest(epoch=epoch, batch=batch, value=value)
            for name, (epoch, batch, value) in data.get("latest", {}).items()
        },
        "facts": {
            name: Fact(mark=Mark(attempt, restart, phase), at=datetime.fromisoformat(at), value=value)
            for name, (attempt, restart, phase, at, value) in data.get("facts", {}).items()
        },
        "asked": {what: datetime.fromisoformat(at) for what, at in data.get("asked", {}).items()},
        "artifacts": {
            name: Artifact(
                name=name, type=type_, uri=uri, size_bytes=size, sha256=sha256, at=datetime.fromisoformat(at)
            )
            for name, type_, uri, size, sha256, at in data.get("artifacts", [])
        },
    }


def _from_mark(mark: Mark) -> list[int]:
    return [mark.attempt, mark.restart, mark.phase]
