"""What the recorder promises, whether it runs in this process or as the metrics actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from thornback.access.audit import SYSTEM
from thornback.access.changes import Change
from thornback.by_name import ByName
from thornback.jobs.events import Attempt, EventKind, JobEvent
from thornback.jobs.queue import QueueChange
from thornback.jobs.state import JobState
from thornback.jobs.versions import NewVersion, VersionPlan
from thornback.jobs.webhook_changes import WebhookChange
from thornback.spend.quotas import Level, QuotaChange


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent(ByName):
    """A committed event as streams carry it; `id` grows and is the cursor of every stream."""

    id: int
    job_id: str
    kind: EventKind
    data: Mapping[str, Any]
    at: datetime
    job: JobState | None = None  # the job after this commit, on the last event of a job in a commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(ByName):
    """What a subscriber has not seen yet."""

    events: tuple[StreamEvent, ...]
    cursor: int  # ask with this next time
    # True where events between the asked cursor and the buffer are gone from memory: read them from
    # the database, up to `cursor`, and then ask again. `events` is empty in that case.
    catch_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker(ByName):
    """The run that calls `record`: it is told when it has to stop, and fenced off once another took over."""

    job_id: str
    attempt: Attempt
    # A worker of a run is fenced off by the next restart as well: its machine may have been cut off, and come back.
    # A driver lives through all restarts of its submission.
    is_worker: bool = False

    def is_older(self, number: int, restart: int) -> bool:
        """True where this submission, or this restart of it, is not the newest."""
        mine = self.attempt
        return mine.number < number or (self.is_worker and mine.number == number and mine.restart < restart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(ByName):
    """The answer to `record`, given after the commit."""

    committed: int  # events that were new
    cursor: int  # id of the newest event in the database
    cancel: frozenset[str] = frozenset()  # jobs of this call that were asked to stop and have not ended
    # the speaker's job, where nobody waits for this run any more: a newer attempt exists, or the job
    # failed, was cancelled or is gone
    superseded: frozenset[str] = frozenset()
    # of the speaker's job: when each Wish was asked for last, those for an earlier run included
    asked: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob(ByName):
    """A job to be created."""

    job_id: str
    spec: Mapping[str, Any]
    user: str
    at: datetime
    team: str | None = None  # whose members see it
    retry_of: str | None = None
    resume_from: str | None = None
    parent_id: str | None = None  # the job that this one is a part of
    idempotency_key: str | None = None
    request_hash: str | None = None  # of the body; compared when the key comes again
    traceparent: str | None = None  # of the request, where it is traced
    runs_already: bool = False  # at a provider, taken over: nothing is set aside for it, and no quota refuses it


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(ByName):
    """The job that a `create` made, or that an earlier `create` with the same key had made."""

    job: JobState
    is_new: bool
    nearly_used: tuple[Level, ...] = ()  # quotas of which this job reaches the share of the warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(ByName):
    """A webhook whose signature was good; (provider, delivery_id) is unique, so that a repeat does nothing."""

    provider: str
    delivery_id: str
    received_at: datetime
    provider_id: str | None  # of the prediction, training or request that it is about
    job_id: str | None  # ours, where it is known
    item: int | None
    status: str | None  # the provider's word
    body: str  # as it came
    problem: str | None = None  # why nothing could be done with it: it is a dead letter then


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(ByName):
    """What became of a delivery."""

    is_new: bool  # False: the same delivery came before, and nothing was done
    committed: int  # events that were new, the job's creation included
    problem: str | None = None  # why it is kept as a dead letter, None where its events were committed


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace(ByName):
    """A waiting job's place in line, 1 for the next, and why it waits."""

    position: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(ByName):
    """One value of a metric."""

    at: int  # the epoch, or the step where steps are asked for
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve(ByName):
    """What a job measured, in the order in which it was committed."""

    points: tuple[Point, ...]
    cursor: int  # ask with this next time


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderHealth(ByName):
    """How the writer is doing."""

    database: str  # "ok" or what is wrong
    cursor: int
    waiting: int  # events accepted and not yet committed
    commits: int
    events: int
    last_commit_ms: float
    subscribers: int
    details: Mapping[str, Any] = field(default_factory=dict)


class Recorder(Protocol):
    """The one writer of job state. Every method answers after its commit.

    Raises StoreUnavailable where the database cannot be written; nothing is half-written then.
    """

    @property
    def feeds(self) -> Sequence[Recorder]:
        """Whom to poll for one job: number `shard_of(job_id, len(feeds))` publishes all its events, soonest.

        `poll` of this recorder itself gives the events of all jobs in the order of their ids.
        """
        return (self,)

    async def record(self, events: Sequence[JobEvent], *, speaker: Speaker | None = None) -> Ack:
        """Commit events; repeats are dropped. Events of deleted or unknown jobs are dropped as well.

        Args:
            events: of any jobs; none is a heartbeat that only asks for the speaker's signals.
            speaker: the run that reports. Where a newer attempt is there (see `Speaker.is_older`), only its
                log lines are committed.

        Raises:
            InvalidInput: some events of this call cannot be stored; its others are committed.
        """
        ...

    async def create(self, new: NewJob) -> Created:
        """Make a job, and set aside what it will cost.

        Calling again with the same `job_id` makes nothing and gives the same answer.

        Raises:
            IdempotencyConflict: the key came before with another body.
            QuotaExceeded, SpendExceeded: its user or team would have more than they may; there is no job then.
        """
        ...

    async def receive(self, delivery: Delivery, events: Sequence[JobEvent], *, new: NewJob | None = None) -> Receipt:
        """Commit a delivery and the events that it means, all or nothing, together with whatever else waits.

        Args:
            delivery: kept in the inbox; one with a `problem` as a dead letter. A dead letter that comes
                again without its problem is put right.
            events: of one job; repeats are dropped as in `record`. Not committed with a `problem`.
            new: the job that the events belong to, made where it does not exist. One that was deleted is
                not made again.

        A delivery whose job does not exist, or whose events cannot be stored, is kept as a dead letter.
        """
        ...

    async def administer(self, change: Change | QueueChange | WebhookChange | QuotaChange, *, by: str = SYSTEM) -> bool:
        """Change users, keys, sessions, webhooks or quotas, or hold the queue; False: there was nothing to do.

        What users, keys, teams, sessions and models are changed is written down in the audit log, in the same
        transaction, as done by the user `by`. Raises what the change says.
        """
        ...

    async def discard(self, delivery_id: int) -> None:
        """Remove a dead letter by the number of its row. Unknown numbers and applied deliveries are left alone."""
        ...

    async def poll(self, cursor: int, *, timeout_s: float, limit: int = 1000) -> Page:
        """Events after `cursor`, waiting up to `timeout_s` for the first.

        -1 means from now on and is answered at once, with the cursor to go on from.
        """
        ...

    async def job(self, job_id: str) -> JobState:
        """The state as committed. Raises JobNotFound."""
        ...

    async def curve(self, job_id: str, metric: str, *, steps: bool = False, after: int = 0) -> Curve:
        """Values of a metric by epoch, or by step, after a cursor; some thousand at a time. Raises JobNotFound."""
        ...

    async def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """Replace the places of all waiting jobs."""
        ...

    async def delete(self, job_id: str) -> None:
        """Remove a job's rows and leave a tombstone event. Unknown ids are no error."""
        ...

    async def plan_version(self, *, user: str, model: str, job_id: str) -> VersionPlan:
        """The version of the model that the job has made, or the number that is the next; nothing is reserved.

        Raises as `register_version` does.
        """
        ...

    async def register_version(self, new: NewVersion) -> VersionPlan:
        """Make a version known where its number is the next one; else say which is, and change nothing.

        A job makes one version: where it has made it already, that one is the answer, so that a repeat
        does nothing.

        Raises:
            InvalidInput: no name of a model, or figures that no file has.
            JobNotFound: the job has been deleted.
            Conflict: the job is being deleted, or is a version of another model.
        """
        ...

    async def set_alias(self, *, user: str, model: str, alias: str, version: int | None, by: str, at: datetime) -> None:
        """Let an alias of a model point at a version; None takes it away.

        Raises InvalidInput, NotFound, and Conflict where the version's job is being deleted.
        """
        ...

    async def note_version(self, *, user: str, model: str, version: int, notes: str) -> None:
        """Replace the notes of a version. Raises NotFound, InvalidInput."""
        ...

    async def delete_version(self, *, user: str, model: str, version: int, by: str | None = None) -> None:
        """Remove a version's row; its files are the caller's. Unknown ones are no error. Raises VersionInUse.

        `by`: who wants it, for the audit log; left out: the model's user.
        """
        ...

    async def health(self) -> RecorderHealth:
        """Look at the database and at the writer's queue."""
        ...
