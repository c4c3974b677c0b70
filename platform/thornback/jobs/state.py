"""What is known of a job: the fold of its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from thornback.by_name import ByName
from thornback.jobs.status import FailureReason, JobStatus

# The metrics of the job row itself, as the source's table has them.
HEADLINE_METRICS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate")

# Kinds whose driver runs on the cluster and gives the training itself to a job of its own, on `backend`.
MANY_STEPS = frozenset({"video_lora", "sweep"})

# The request (see Wish) that a parked job waits for.
APPROVAL = "approve"

# A row that ends an epoch counts as later than every batch of that epoch.
END_OF_EPOCH = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(ByName):
    """Something a run produced and that can be downloaded."""

    name: str
    type: str
    uri: str
    size_bytes: int | None = None
    sha256: str | None = None
    at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Mark(ByName):
    """Where in a job's life a fact belongs, however late it arrives: attempt, restart, then phase."""

    attempt: int = 0
    restart: int = 0
    phase: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest(ByName):
    """The newest value of one metric and the place in the run that it belongs to."""

    epoch: int
    batch: int  # END_OF_EPOCH for an epoch's own row
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(ByName):
    """A fact that a run stated about itself and when."""

    mark: Mark
    at: datetime
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState(ByName):
    """One job. Every field is a join over the job's events, so their order does not matter."""

    id: str

    # from `created`
    kind: str = "convnext"
    backend: str = "ray"
    job_name: str = ""
    user: str = ""
    team: str | None = None  # whose members see it; None: see access.sight
    priority: int = 0
    priority_at: datetime | None = None  # of the newest change; None: as it was created
    spec: Mapping[str, Any] = field(default_factory=dict)
    retry_of: str | None = None
    parent_id: str | None = None  # the job that this one is a part of
    resume_from: str | None = None
    traceparent: str | None = None  # the W3C trace context of the request that made it
    created_at: datetime | None = None
    total_epochs: int = 0
    model_architecture: str | None = None

    # where it stands
    mark: Mark = Mark()  # the furthest point any event has reached
    reason: str | None = None  # why it waits
    reason_at: datetime | None = None
    stage: str | None = None
    stage_mark: tuple[Mark, int] = (Mark(), -1)
    submission_id: str | None = None
    submission_attempt: int = 0
    final: JobStatus | None = None
    cancel_requested: bool = False
    delete_requested: bool = False
    stop_reason: str | None = None  # why the platform asked for its end; None: nobody did, or a person
    ended_early: str | None = None  # why its sweep asked for its end; None: it did not
    asked: Mapping[str, datetime] = field(default_factory=dict)  # the newest request of each Wish
    started_at: datetime | None = None
    completed_at: datetime | None = None

    # how far it is
    progress: float = 0.0  # percent reported by the run; 100 only through `progress_percent`
    progress_origin: str = "reported"
    current_epoch: int = 0
    eta_at: datetime | None = None
    eta_mark: tuple[Mark, float] = (Mark(), -1.0)

    # what it measured
    latest: Mapping[str, Latest] = field(default_factory=dict)
    best_epoch: int | None = None
    best_val_loss: float | None = None

    # what it said about itself
    facts: Mapping[str, Fact] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)

    # how it went wrong
    failure: FailureReason | None = None
    error_message: str | None = None
    retry_mark: Mark = Mark()
    retry_message: str | None = None
    moves: tuple[int, ...] = ()  # submissions that began because the one before had left its machines by itself

    # how it waits for a person
    parked: int = 0  # the attempt that begins with the approval; 0: it never waited for one
    parked_at: datetime | None = None

    @property
    def status(self) -> JobStatus:
        """The status that the API shows."""
        if self.final is not None:
            return self.final
        if self.mark.phase >= PHASE_RUNNING:
            return JobStatus.RUNNING
        return JobStatus.PENDING if self.is_parked or self.mark.phase == PHASE_PENDING else JobStatus.QUEUED

    @property
    def is_parked(self) -> bool:
        """True while nothing of it runs because a person has to approve first."""
        waits = self.final is None and self.parked == self.mark.attempt > 0 and self.mark.phase < PHASE_SCHEDULED
        return waits and APPROVAL not in self.asked

    @property
    def runner(self) -> str:
        """The backend whose queue it stands in; the parts of a job of several steps may run elsewhere."""
        return "ray" if self.kind in MANY_STEPS else self.backend

    @property
    def waits_for(self) -> str | None:
        """Why it is pending; a reason of an earlier wait says nothing about a job that is being launched."""
        if self.is_parked:
            return self.stage
        return self.reason if self.status is JobStatus.PENDING else None

    @property
    def progress_percent(self) -> float:
        """0 to 100; 100 exactly when the job completed."""
        return 100.0 if self.final is JobStatus.COMPLETED else self.progress

    @property
    def attempt(self) -> int:
        """The number of the present submission; 0 before the first."""
        return self.mark.attempt

    @property
    def runs_lost(self) -> int:
        """Submissions before the present one that were lost; not those that ended to wait for a person or to move."""
        return max(0, self.attempt - 1 - (1 if self.parked else 0) - len(self.moves))

    def metric(self, name: str) -> float | None:
        """The newest value of a metric, None where there is none."""
        latest = self.latest.get(name)
        return None if latest is None else latest.value

    def fact(self, name: str) -> Any:
        """What the run said last about `name`, None where it said nothing."""
        fact = self.facts.get(name)
        return None if fact is None else fact.value

    def artifact_uri(self, type: str) -> str | None:
        """The address of the newest artifact of a type, None where there is none."""
        found = [artifact for artifact in self.artifacts.values() if artifact.type == type]
        return max(found, key=lambda artifact: (artifact.at, artifact.name)).uri if found else None


# Phases of one attempt, in the order in which they are passed.
PHASE_QUEUED = 0
PHASE_PENDING = 1
PHASE_SCHEDULED = 2
PHASE_RUNNING = 3
