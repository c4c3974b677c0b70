"""Sweeps and their trials, as `client.sweeps`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal

import httpx2
from pydantic import BaseModel, ConfigDict

from thornback.client.model_versions import COPY_S
from thornback.client.models import ModelVersion
from thornback.client.problems import ServerUnreachable, error_of, unreachable
from thornback.client.reconnect import Backoff
from thornback.errors import ThornbackError, Unavailable
from thornback.jobs.status import JobStatus

SWEEPS = "/api/v1/sweeps"
LOOK_S = 2.0


class _Answer(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)


class SweepTrial(_Answer):
    """One trial; steps and epochs are counted in the sweep's unit."""

    number: int
    job_id: str
    state: str  # waiting, running, completed, stopped, failed
    why: str | None = None  # it was stopped, failed or waits
    is_best: bool = False
    parameters: Mapping[str, Any] = {}  # by dotted name
    value: float | None = None  # the best of the metric so far
    best_at: int | None = None
    last: float | None = None
    reached: int | None = None
    progress_percent: float = 0.0
    seconds: float | None = None
    cost_usd: float | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


class SweepBudget(_Answer):
    """What a sweep may use, and has used; None: no limit of its own."""

    trials: int
    hours: float | None = None
    usd: float | None = None
    charged_usd: float = 0.0
    reserved_usd: float = 0.0


class SweepVersion(_Answer):
    """What the best trial's model became."""

    model: str
    version: int
    user: str


class Sweep(_Answer):
    """A sweep and the first trials of its leaderboard."""

    job_id: str
    job_name: str
    status: JobStatus
    stage: str | None = None
    error_message: str | None = None
    ended_by: str | None = None  # what ended the search before its last trial
    metric: str
    mode: Literal["min", "max"]
    unit: str
    search: str
    scheduler: str
    counts: Mapping[str, int]
    budget: SweepBudget
    best: SweepTrial | None = None
    version: SweepVersion | None = None
    trials: tuple[SweepTrial, ...] = ()
    total: int


class Sweeps:
    """Calls about them. A sweep goes by the id of its job; `client.submit_spec` starts it, `client.cancel` ends it."""

    def __init__(self, http: httpx2.Client, call: Callable[..., Any]) -> None:
        self._http = http
        self._call = call

    def get(self, job_id: str, *, sort: str = "best", limit: int = 100, offset: int = 0) -> Sweep:
        """The leaderboard. `sort`: best, value, number, state, reached, seconds or cost, with - the greatest first.

        Raises JobNotFound, NotFound for a job that is no sweep, InvalidInput for an unknown order.
        """
        params = {"sort": sort, "limit": limit, "offset": offset}
        return Sweep.model_validate(self._call("GET", f"{SWEEPS}/{job_id}", params=params))

    def curves(self, job_id: str, *, limit: int = 50, points: int = 200) -> Mapping[str, Any]:
        """The metric of the best trials, each as `points` of epoch or step and value."""
        found: Mapping[str, Any] = self._call(
            "GET", f"{SWEEPS}/{job_id}/curves", params={"limit": limit, "points": points}
        )
        return found

    def csv(self, job_id: str, *, sort: str = "number") -> str:
        """All trials as a table for spreadsheets."""
        try:
            answer = self._http.get(f"{SWEEPS}/{job_id}", params={"format": "csv", "sort": sort})
        except httpx2.TransportError as error:
            raise unreachable(error, str(self._http.base_url)) from error
        if not answer.is_success:
            raise error_of(answer)
        return answer.text

    def publish(self, job_id: str, *, model: str | None = None) -> ModelVersion:
        """Make the best completed trial the next version of a model; the one that it is where that was done before.

        Raises Conflict where no trial has completed, or the best is a version of another model.
        """
        body = {} if model is None else {"model": model}
        return ModelVersion.model_validate(self._call("POST", f"{SWEEPS}/{job_id}/publish", json=body, timeout=COPY_S))

    def watch(
        self,
        job_id: str,
        *,
        limit: int = 20,
        sleep: Callable[[float], None] = time.sleep,
        on_lost: Callable[[ThornbackError, float], None] | None = None,
    ) -> Iterator[Sweep]:
        """The leaderboard each time that it has changed, until the sweep has ended; a server that is away is awaited.

        Args:
            job_id: which.
            limit: so many trials.
            sleep: between two looks.
            on_lost: is told of a server that is away, and after how many seconds it is asked again.
        """
        backoff, tries, known = Backoff(), 0, None
        while True:
            try:
                found = self.get(job_id, limit=limit)
            except (ServerUnreachable, Unavailable) as error:
                delay = backoff.delay(tries)
                tries += 1
                if on_lost is not None:
                    on_lost(error, delay)
                sleep(delay)
                continue
            tries = 0
            if found != known:
                known = found
                yield found
            if found.status.is_final and not found.counts.get("running") and not found.counts.get("waiting"):
                return
            sleep(LOOK_S)
