"""(job, event) -> job: the one place that decides what an event means.

Every field is folded by a join that is commutative, associative and idempotent (the greatest mark,
the earliest time, the smallest loss, the union of names). Events may therefore arrive late, twice or
in any order, and the state is the same. Final events share one key, so that a job has at most one;
should a second reach this function all the same, the first stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from thornback.jobs.events import EventKind, JobEvent
from thornback.jobs.state import (
    END_OF_EPOCH,
    PHASE_PENDING,
    PHASE_QUEUED,
    PHASE_RUNNING,
    PHASE_SCHEDULED,
    Artifact,
    Fact,
    JobState,
    Latest,
    Mark,
)
from thornback.jobs.status import FailureReason, JobStatus
from thornback.jobs.wishes import Wish

# What a run may report before it has succeeded; 100 belongs to success alone.
MAX_RUNNING_PERCENT = 99.0


def reduce(job: JobState, event: JobEvent) -> JobState:
    """Fold one event into a job.

    Args:
        job: the state so far; `JobState(id=…)` for a job of which nothing is known yet.
        event: an event of the same job.
    """
    _check_owner(job, event)
    return _FOLDS[event.kind](job, event)


def reduce_all(job: JobState, events: Iterable[JobEvent]) -> JobState:
    """Fold many events."""
    # Metrics are nearly all of them: a run of them is folded in one go, at a third of the cost.
    for kind, run in groupby(events, key=attrgetter("kind")):
        if kind is EventKind.METRICS:
            job = _metrics(job, *run)
        else:
            for event in run:
                job = reduce(job, event)
    return job


def _created(job: JobState, event: JobEvent) -> JobState:
    spec = event.data["spec"]
    config = spec.get("config", {})
    return replace(
        job,
        kind=spec["kind"],
        backend=spec["backend"],
        job_name=spec["job_name"],
        user=event.data["user"],
        team=event.data.get("team"),
        priority=spec["priority"] if job.priority_at is None else job.priority,
        spec=spec,
        retry_of=event.data.get("retry_of"),
        resume_from=event.data.get("resume_from"),
        parent_id=event.data.get("parent_id"),
        traceparent=event.data.get("traceparent"),
        created_at=event.at,
        total_epochs=config.get("epochs") or 0,
        model_architecture=config.get("model_architecture") or config.get("base_model"),
    )


def _pending(job: JobState, event: JobEvent) -> JobState:
    job = replace(job, mark=max(job.mark, Mark(event.data["attempt"], 0, PHASE_PENDING)))
    # Two reasons of the same instant are ordered by their text, so that the fold has no ties.
    mine = (event.at, event.data["reason"])
    if job.reason_at is not None and (job.reason_at, job.reason or "") >= mine:
        return job
    return replace(job, reason=event.data["reason"], reason_at=event.at)


def _scheduled(job: JobState, event: JobEvent) -> JobState:
    attempt = event.data["attempt"]
    job = replace(job, mark=max(job.mark, Mark(attempt, 0, PHASE_SCHEDULED)))
    if attempt <= job.submission_attempt:
        return job
    return replace(job, submission_id=event.data["submission_id"], submission_attempt=attempt)


def _retried(job: JobState, event: JobEvent) -> JobState:
    here = _mark(event, phase=0 if event.data["restart"] == 0 else PHASE_RUNNING)
    job = replace(job, mark=max(job.mark, here))
    if event.data["restart"] == 0 and event.data["reason"] == FailureReason.MOVED:
        job = replace(job, moves=tuple(sorted({*job.moves, here.attempt})))
    if here <= job.retry_mark:
        return job
    return replace(job, retry_mark=here, retry_message=event.data["message"])


def _started(job: JobState, event: JobEvent) -> JobState:
    return replace(job, mark=max(job.mark, _mark(event)), started_at=_earliest(job.started_at, event.at))


def _parked(job: JobState, event: JobEvent) -> JobState:
    following = event.data["attempt"] + 1
    job = replace(job, mark=max(job.mark, Mark(following, 0, PHASE_QUEUED)))
    if following <= job.parked:
        return job
    return replace(job, parked=following, parked_at=event.at)


def _stage(job: JobState, event: JobEvent) -> JobState:
    job = replace(job, mark=max(job.mark, _mark(event)))
    here = (_mark(event), event.data["index"])
    if here <= job.stage_mark:
        return job
    return replace(job, stage=event.data["name"], stage_mark=here)


def _progress(job: JobState, event: JobEvent) -> JobState:
    data = event.data
    percent = min(max(float(data["percent"]), 0.0), MAX_RUNNING_PERCENT)
    job = replace(
        job,
        mark=max(job.mark, _mark(event)),
        current_epoch=max(job.current_epoch, data["epoch"]),
    )
    if (percent, data["origin"]) > (job.progress, job.progress_origin):
        job = replace(job, progress=percent, progress_origin=data["origin"])
    # Time left is what the newest report says, and a restart may say more than the run before it.
    here = (_mark(event), percent)
    if data["eta_seconds"] is None or here < job.eta_mark:
        return job
    eta_at = event.at + timedelta(seconds=data["eta_seconds"])
    if here == job.eta_mark and job.eta_at is not None:
        eta_at = max(eta_at, job.eta_at)
    return replace(job, eta_at=eta_at, eta_mark=here)


def _described(job: JobState, event: JobEvent) -> JobState:
    facts = dict(job.facts)
    for name, value in event.data["facts"].items():
        fact = Fact(mark=_mark(event), at=event.at, value=value)
        known = facts.get(name)
        if known is None or _fact_order(fact) > _fact_order(known):
            facts[name] = fact
    return replace(job, facts=facts)


def _metrics(job: JobState, *events: JobEvent) -> JobState:
    latest = dict(job.latest)
    best = None if job.best_val_loss is None else (job.best_val_loss, job.best_epoch or 0)
    for event in events:
        _check_owner(job, event)
        epoch: int = event.data["epoch"]
        batch: int = END_OF_EPOCH if event.data["batch"] is None else event.data["batch"]
        values: Mapping[str, float | None] = event.data["values"]
        for name, value in values.items():
            known = latest.get(name)
            if known is None or (epoch, batch, _rank(value)) > (known.epoch, known.batch, _rank(known.value)):
                latest[name] = Latest(epoch=epoch, batch=batch, value=value)
        loss = values.get("val_loss")
        if loss is not None and (best is None or (loss, epoch) < best):
            best = (loss, epoch)
    if best is None:
        return replace(job, latest=latest)
    return replace(job, latest=latest, best_val_loss=best[0], best_epoch=best[1])


def _artifact(job: JobState, event: JobEvent) -> JobState:
    data = event.data
    new = Artifact(
        name=data["name"],
        type=data["type"],
        uri=data["uri"],
        size_bytes=data["size_bytes"],
        sha256=data["sha256"],
        at=event.at,
    )
    known = job.artifacts.get(new.name)
    if known is not None and _artifact_order(known) >= _artifact_order(new):
        return job
    return replace(job, artifacts={**job.artifacts, new.name: new})


def _cancel_requested(job: JobState, event: JobEvent) -> JobState:
    reasons = [why for why in (job.stop_reason, event.data.get("why")) if why is not None]
    return replace(
        job,
        cancel_requested=True,
        delete_requested=job.delete_requested or event.data["delete"],
        stop_reason=min(reasons, default=None),
        ended_early=_least_text(job.ended_early, event.data.get("ended")),
    )


def _prioritized(job: JobState, event: JobEvent) -> JobState:
    priority = int(event.data["priority"])
    # Two changes of the same instant are ordered by the priority, so that the fold has no ties.
    if job.priority_at is not None and (job.priority_at, job.priority) >= (event.at, priority):
        return job
    return replace(job, priority=priority, priority_at=event.at)


def _asked(job: JobState, event: JobEvent) -> JobState:
    what = Wish(event.data["what"]).value
    return replace(job, asked={**job.asked, what: max(job.asked.get(what, event.at), event.at)})


def _succeeded(job: JobState, event: JobEvent) -> JobState:
    return _end(job, event, JobStatus.COMPLETED)


def _failed(job: JobState, event: JobEvent) -> JobState:
    if job.final is not None:
        return job
    return replace(
        _end(job, event, JobStatus.FAILED),
        failure=FailureReason(event.data["reason"]),
        error_message=event.data["message"],
    )


def _cancelled(job: JobState, event: JobEvent) -> JobState:
    return _end(job, event, JobStatus.CANCELLED)


def _end(job: JobState, event: JobEvent, status: JobStatus) -> JobState:
    return job if job.final is not None else replace(job, final=status, completed_at=event.at)


def _unchanged(job: JobState, event: JobEvent) -> JobState:
    return job


def _mark(event: JobEvent, *, phase: int = PHASE_RUNNING) -> Mark:
    return Mark(event.data["attempt"], event.data["restart"], phase)


def _earliest(known: datetime | None, new: datetime) -> datetime:
    return new if known is None else min(known, new)


def _least_text(known: str | None, new: str | None) -> str | None:
    return min((text for text in (known, new) if text is not None), default=None)


def _rank(value: float | None) -> float:
    return float("-inf") if value is None else value


def _check_owner(job: JobState, event: JobEvent) -> None:
    if event.job_id != job.id:
        raise ValueError(f"event of job {event.job_id} folded into job {job.id}")


def _fact_order(fact: Fact) -> tuple[Mark, datetime, str]:
    return fact.mark, fact.at, repr(fact.value)


def _artifact_order(artifact: Artifact) -> tuple[Any, ...]:
    return artifact.at, artifact.type, artifact.uri, artifact.size_bytes or -1, artifact.sha256 or ""


_FOLDS: Mapping[EventKind, Callable[[JobState, JobEvent], JobState]] = {
    EventKind.CREATED: _created,
    EventKind.PENDING: _pending,
    EventKind.SCHEDULED: _scheduled,
    EventKind.STARTED: _started,
    EventKind.PARKED: _parked,
    EventKind.STAGE: _stage,
    EventKind.PROGRESS: _progress,
    EventKind.DESCRIBED: _described,
    EventKind.METRICS: _metrics,
    EventKind.LOG: _unchanged,
    EventKind.ITEM: _unchanged,
    EventKind.ARTIFACT: _artifact,
    EventKind.CANCEL_REQUESTED: _cancel_requested,
    EventKind.PRIORITIZED: _prioritized,
    EventKind.ASKED: _asked,
    EventKind.RETRIED: _retried,
    EventKind.SUCCEEDED: _succeeded,
    EventKind.FAILED: _failed,
    EventKind.CANCELLED: _cancelled,
    EventKind.ALERT: _unchanged,
    EventKind.DELETED: _unchanged,
    EventKind.QUEUE: _unchanged,
}
