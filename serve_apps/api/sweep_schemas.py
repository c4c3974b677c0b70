"""Sweeps on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from serve_apps.api.schemas import EXAMPLE_ID, Wire
from thornback.jobs.leaderboard import TrialState
from thornback.jobs.status import JobStatus
from thornback.jobs.versions import MODEL_NAME


class TrialOut(Wire):
    """One trial. Steps and epochs are counted in the sweep's `unit`."""

    number: int = Field(ge=1)
    job_id: str = Field(examples=[EXAMPLE_ID], description="A job like every other: curves, log, files.")
    job_name: str
    state: TrialState
    why: str | None = Field(description="Why it was stopped, failed or waits.")
    is_best: bool
    parameters: dict[str, Any] = Field(examples=[{"config.learning_rate": 0.0003}])
    value: float | None = Field(description="The best of the metric so far.")
    best_at: int | None
    last: float | None = Field(description="The newest value of the metric.")
    reached: int | None = Field(description="How far it is.")
    source: int | None = Field(description="The trial from whose checkpoint it went on; population-based training.")
    progress_percent: float
    seconds: float | None = Field(description="From its start to its end, or to now.")
    cost_usd: float | None = Field(description="Charged; while it goes on what is set aside. Null: it costs nothing.")
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class TrialCounts(Wire):
    """How many trials stand how."""

    waiting: int = 0
    running: int = 0
    completed: int = 0
    stopped: int = 0
    failed: int = 0


class SweepBudget(Wire):
    """What the sweep may use, and has used. Null: no limit of its own."""

    trials: int
    hours: float | None
    usd: float | None
    charged_usd: float = Field(description="Trials that have ended.")
    reserved_usd: float = Field(description="Set aside for trials that have not.")


class SweepVersion(Wire):
    """What the best trial's model became."""

    model: str
    version: int
    user: str


class SweepOut(Wire):
    """A sweep and a page of its leaderboard."""

    job_id: str = Field(examples=[EXAMPLE_ID])
    job_name: str
    status: JobStatus
    stage: str | None
    error_message: str | None
    metric: str
    mode: Literal["min", "max"]
    unit: str = Field(examples=["epoch"], description="What trials count: epoch or step.")
    search: str
    scheduler: str
    at_once: int
    space: dict[str, dict[str, Any]] = Field(description="What is searched, by the dotted name of the trial's field.")
    ended_by: str | None = Field(description="What ended the search before its last trial: a budget, or a person.")
    counts: TrialCounts
    budget: SweepBudget
    best: TrialOut | None
    version: SweepVersion | None = Field(description="The best trial's model, where it was made a version.")
    trials: list[TrialOut]
    total: int
    last_event_id: int = Field(description="What streams go on from.")


class TrialCurve(Wire):
    """The metric of one trial as it went."""

    number: int
    job_id: str
    points: list[tuple[int, float]] = Field(description="Epoch or step, and value.")


class SweepCurves(Wire):
    """The metric of several trials; at most so many points of each as draw the same curve."""

    job_id: str
    metric: str
    unit: str
    curves: list[TrialCurve]


class PublishBest(Wire):
    """Which model gets the best trial."""

    model: Annotated[
        str | None,
        Field(pattern=MODEL_NAME, max_length=100, description="Left out: as the sweep says, or made of its name."),
    ] = None
