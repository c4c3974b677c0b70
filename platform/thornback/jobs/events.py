"""Everything that can happen to a job.

`(job_id, source, key)` identifies an event: a repeat is dropped by the database. Keys are chosen so
that what is the same fact has the same key: a metrics row is `phase:epoch:batch` whichever attempt
computed it, and there is exactly one final event per job, whoever saw the end first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from thornback.by_name import ByName
from thornback.jobs.status import FailureReason
from thornback.masking import mask_shapes


class EventKind(StrEnum):
    """What happened. The comment names what `data` holds."""

    CREATED = "created"  # spec, user, team, retry_of, resume_from, parent_id; traceparent where it is traced
    PENDING = "pending"  # attempt, reason, position
    SCHEDULED = "scheduled"  # attempt, submission_id
    STARTED = "started"  # attempt, restart
    PARKED = "parked"  # attempt, restart: it ended its driver, and goes on when a person has approved
    STAGE = "stage"  # attempt, restart, index, name
    PROGRESS = "progress"  # attempt, restart, percent, epoch, total_epochs, eta_seconds, origin
    DESCRIBED = "described"  # attempt, restart, facts{…}: what the run found out about itself
    METRICS = "metrics"  # epoch, batch, phase, values{name: float | None}
    LOG = "log"  # attempt, restart, rank, seq, lines[…]
    ITEM = "item"  # an order at a provider: item, order, status, provider, provider_id, …; see items.py
    ARTIFACT = "artifact"  # attempt, restart, name, type, uri, size_bytes, sha256
    CANCEL_REQUESTED = "cancel_requested"  # user, delete, why, ended
    PRIORITIZED = "prioritized"  # user, priority
    ASKED = "asked"  # user, what: a Wish, for the run that goes on
    RETRIED = "retried"  # attempt, restart, reason, message
    SUCCEEDED = "succeeded"  # attempt, summary{…}
    FAILED = "failed"  # attempt, reason, message
    CANCELLED = "cancelled"  # message
    ALERT = "alert"  # rule, message, job_ids; on the job whose failure made the rule hold
    DELETED = "deleted"  # the tombstone that streams carry after the job's rows are gone
    QUEUE = "queue"  # paused, by, reason; of no job: see PLATFORM_ID

    @property
    def is_final(self) -> bool:
        """True for the kinds that end a job."""
        return self in (EventKind.SUCCEEDED, EventKind.FAILED, EventKind.CANCELLED)


# Stands where an event is about the whole platform; no job has it.
PLATFORM_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent(ByName):
    """One fact about one job, or about the platform; `data` is JSON-ready (no NaN)."""

    job_id: str
    source: str  # who says so: api, dispatcher, train, provider, alerts, sweep, end
    key: str
    kind: EventKind
    at: datetime  # aware, UTC
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Attempt(ByName):
    """Which run of a job speaks: `number` counts submissions, `restart` the restarts inside one."""

    number: int = 1
    restart: int = 0


# The statuses of an item that end an order; they share one key, so that there is one end per order.
_ITEM_ENDS = frozenset({"succeeded", "failed", "cancelled"})


class EventFactory:
    """Makes the events of one job, so that keys and data have one author."""

    def __init__(self, job_id: str, *, voice: str = "") -> None:
        """`voice` tells apart the processes of one run that count their reports on their own."""
        self._job_id = job_id
        self._voice = f":{voice}" if voice else ""

    def _event(self, source: str, key: str, kind: EventKind, at: datetime, **data: Any) -> JobEvent:
        return JobEvent(job_id=self._job_id, source=source, key=key, kind=kind, at=at, data=data)

    def created(
        self,
        spec: Mapping[str, Any],
        *,
        user: str,
        at: datetime,
        team: str | None = None,
        retry_of: str | None = None,
        resume_from: str | None = None,
        parent_id: str | None = None,
        traceparent: str | None = None,
    ) -> JobEvent:
        """`spec` is the validated specification with its defaults filled in."""
        traced = {} if traceparent is None else {"traceparent": traceparent}
        return self._event(
            "api",
            "created",
            EventKind.CREATED,
            at,
            spec=dict(spec),
            user=user,
            team=team,
            retry_of=retry_of,
            resume_from=resume_from,
            parent_id=parent_id,
            **traced,
        )

    def cancel_requested(self, *, user: str, at: datetime, delete: bool = False) -> JobEvent:
        """A cancel, and where `delete` the rows and files are to go as well."""
        return self._event(
            "api",
            "delete" if delete else "cancel",
            EventKind.CANCEL_REQUESTED,
            at,
            user=user,
            delete=delete,
        )

    def ended_early(self, *, why: str, user: str, at: datetime) -> JobEvent:
        """A cancel by the sweep that the job is a trial of: the job is cancelled then, which is no failure."""
        data = {"user": user, "delete": False, "ended": why}
        return self._event("sweep", "end early", EventKind.CANCEL_REQUESTED, at, **data)

    def stopped(self, *, why: str, user: str, at: datetime) -> JobEvent:
        """A cancel by the platform itself; the job then fails, as `FailureReason.QUOTA_REACHED`, with these words."""
        data = {"user": user, "delete": False, "why": why}
        return self._event("platform", "stop", EventKind.CANCEL_REQUESTED, at, **data)

    def prioritized(self, priority: int, *, user: str, at: datetime) -> JobEvent:
        """Another priority from now on; each change is one of its own."""
        key = f"priority:{at.timestamp():.6f}"
        return self._event("api", key, EventKind.PRIORITIZED, at, user=user, priority=priority)

    def asked(self, what: str, *, user: str, at: datetime) -> JobEvent:
        """A `Wish` for the running job; each request is one of its own."""
        return self._event("api", f"asked:{what}:{at.timestamp():.6f}", EventKind.ASKED, at, user=user, what=what)

    def pending(self, attempt: Attempt, *, reason: str, at: datetime) -> JobEvent:
        """It does not fit now, because of `reason`."""
        key = f"pending:{attempt.number}:{at.timestamp():.3f}"
        return self._event("dispatcher", key, EventKind.PENDING, at, attempt=attempt.number, reason=reason)

    def scheduled(self, attempt: Attempt, *, submission_id: str, at: datetime) -> JobEvent:
        """It was handed to its backend under this id (written down before the call)."""
        key = f"scheduled:{attempt.number}"
        data = {"attempt": attempt.number, "submission_id": submission_id}
        return self._event("dispatcher", key, EventKind.SCHEDULED, at, **data)

    def retried(self, attempt: Attempt, *, reason: FailureReason, message: str, at: datetime) -> JobEvent:
        """`attempt` begins because the one before it was lost."""
        key = f"retried:{attempt.number}:{attempt.restart}"
        data = {"reason": reason.value, "message": message}
        return self._from_run("dispatcher", key, EventKind.RETRIED, attempt, at, **data)

    def started(self, attempt: Attempt, *, at: datetime) -> JobEvent:
        """The driver runs."""
        key = f"started:{attempt.number}:{attempt.restart}"
        return self._from_run("train", key, EventKind.STARTED, attempt, at)

    def stage(self, attempt: Attempt, *, index: int, name: str, at: datetime) -> JobEvent:
        """The run entered a stage; `index` grows along the run."""
        key = f"stage:{attempt.number}:{attempt.restart}:{index}{self._voice}"
        return self._from_run("train", key, EventKind.STAGE, attempt, at, index=index, name=name)

    def progress(
        self,
        attempt: Attempt,
        *,
        seq: int,
        percent: float,
        epoch: int,
        total_epochs: int,
        eta_seconds: float | None,
        at: datetime,
        origin: str = "reported",
    ) -> JobEvent:
        """How far it is; `origin` is reported, parsed or estimated."""
        key = f"progress:{attempt.number}:{attempt.restart}:{seq}{self._voice}"
        data = {
            "percent": percent,
            "epoch": epoch,
            "total_epochs": total_epochs,
            "eta_seconds": eta_seconds,
            "origin": origin,
        }
        return self._from_run("train", key, EventKind.PROGRESS, attempt, at, **data)

    def parked(self, attempt: Attempt, *, at: datetime) -> JobEvent:
        """The run has ended without an end of the job: the next attempt begins when a person has approved."""
        key = f"parked:{attempt.number}"
        return self._from_run("train", key, EventKind.PARKED, attempt, at)

    def described(self, attempt: Attempt, facts: Mapping[str, Any], *, seq: int, at: datetime) -> JobEvent:
        """Facts such as dataset_size, train_samples, val_samples, class_names, mlflow_run_id."""
        key = f"described:{attempt.number}:{attempt.restart}:{seq}{self._voice}"
        return self._from_run("train", key, EventKind.DESCRIBED, attempt, at, facts=dict(facts))

    def metrics(
        self, *, epoch: int, batch: int | None, phase: str, values: Mapping[str, float | None], at: datetime
    ) -> JobEvent:
        """One row for the charts. `batch` is the step within the epoch, None for the epoch's own row."""
        key = f"metrics:{phase}:{epoch}:{'' if batch is None else batch}"
        data = {"epoch": epoch, "batch": batch, "phase": phase, "values": dict(values)}
        return self._event("train", key, EventKind.METRICS, at, **data)

    def log(self, attempt: Attempt, *, rank: int, seq: int, lines: list[str], at: datetime) -> JobEvent:
        """Lines that one process printed, what looks like a key left out; `rank` is -1 for the driver."""
        key = f"log:{attempt.number}:{attempt.restart}:{rank}:{seq}{self._voice}"
        shown = [mask_shapes(line) for line in lines]
        return self._from_run("train", key, EventKind.LOG, attempt, at, rank=rank, seq=seq, lines=shown)

    def artifact(
        self,
        attempt: Attempt,
        *,
        name: str,
        type: str,
        uri: str,
        at: datetime,
        size_bytes: int | None = None,
        sha256: str | None = None,
    ) -> JobEvent:
        """Something that can be downloaded: `type` is checkpoint, model, onnx, report, tensorboard."""
        key = f"artifact:{attempt.number}:{attempt.restart}:{name}:{at.timestamp():.6f}"
        data = {"name": name, "type": type, "uri": uri, "size_bytes": size_bytes, "sha256": sha256}
        return self._from_run("train", key, EventKind.ARTIFACT, attempt, at, **data)

    def item(
        self,
        item: int,
        *,
        order: int,
        status: str,
        provider: str,
        at: datetime,
        provider_id: str | None = None,
        **facts: Any,
    ) -> JobEvent:
        """An order at a provider reached a status (`ItemStatus`); each order has one end, whoever saw it.

        Args:
            item: its number within the job, from 1.
            order: which order for this item, from 1.
            status: an `ItemStatus`.
            provider: who has the order.
            at: when, by the provider's clock where it says so.
            provider_id: the provider's id, as soon as it is known.
            facts: for an end `via`, `heard_at` (by our clock, ISO 8601), `error`, `outputs`; for `stored` `uri`,
                `content_type`, `size_bytes`, `sha256`.
        """
        step = "end" if status in _ITEM_ENDS else status
        data = {
            "item": item,
            "order": order,
            "status": status,
            "provider": provider,
            "provider_id": provider_id,
            **facts,
        }
        return self._event("provider", f"item:{item}:{order}:{step}", EventKind.ITEM, at, **data)

    def succeeded(self, attempt: Attempt, *, at: datetime, summary: Mapping[str, Any] | None = None) -> JobEvent:
        """The end, with the run's own figures."""
        return self._from_run("end", "end", EventKind.SUCCEEDED, attempt, at, summary=dict(summary or {}))

    def failed(self, attempt: Attempt, *, reason: FailureReason, message: str, at: datetime) -> JobEvent:
        """The end, with the true reason."""
        data = {"reason": reason.value, "message": mask_shapes(message)}
        return self._from_run("end", "end", EventKind.FAILED, attempt, at, **data)

    def cancelled(self, *, at: datetime, message: str = "cancelled on request") -> JobEvent:
        """The end, because somebody asked for it."""
        return self._event("end", "end", EventKind.CANCELLED, at, message=message)

    def alert(self, *, rule: str, message: str, job_ids: list[str], at: datetime) -> JobEvent:
        """This job's failure made a rule hold; a rule holds once for a failure, whoever notices."""
        return self._event("alerts", f"alert:{rule}", EventKind.ALERT, at, rule=rule, message=message, job_ids=job_ids)

    @staticmethod
    def queue(*, paused: bool, by: str, at: datetime, reason: str = "") -> JobEvent:
        """The queue was held or let go, which is of no job."""
        key = f"queue:{at.timestamp():.6f}:{paused}"
        data = {"paused": paused, "by": by, "reason": reason}
        return JobEvent(job_id=PLATFORM_ID, source="api", key=key, kind=EventKind.QUEUE, at=at, data=data)

    def _from_run(
        self, source: str, key: str, kind: EventKind, attempt: Attempt, at: datetime, **data: Any
    ) -> JobEvent:
        return self._event(source, key, kind, at, attempt=attempt.number, restart=attempt.restart, **data)
