"""The dispatcher: starts jobs in their turn and keeps what the database says true.

It looks at its backends, then at the database, and does what is needed to make the two agree. That is
also how it recovers: the first look after a crash, of anything, is like every other. It is woken by
events that matter and looks at least every `dispatch_interval_s`.

Knows no Ray: the recorder, the reader, the backends and the clock are given to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol

from thornback.backends.port import Backend, BackendState, Phase, Survey, submission_id
from thornback.dispatch import family
from thornback.dispatch.admission import Admission
from thornback.dispatch.care import Care, PartsReader
from thornback.dispatch.measured import measure_look, measure_queue
from thornback.dispatch.supervise import Step, attempt_of, is_launched, next_step
from thornback.errors import ThornbackError
from thornback.jobs.events import EventKind
from thornback.jobs.queue import QueueHold
from thornback.jobs.state import JobState
from thornback.log import get_logger
from thornback.metrics.port import QueuePlace, Recorder
from thornback.settings import Settings
from thornback.telemetry import catalogue

log = get_logger("dispatcher")

# While processes are ending, so that what they free is given away soon.
_RESTLESS_S = 0.25

# The feed carries metrics and logs as well; a pause between polls makes pages of them.
_POLL_PAUSE_S = 0.03
_POLL_WAIT_S = 20.0
_POLL_RETRY_S = 1.0

# What makes a look worth its while at once.
_WAKING = frozenset(
    {
        EventKind.CREATED,
        EventKind.CANCEL_REQUESTED,
        EventKind.PRIORITIZED,
        EventKind.RETRIED,
        EventKind.PARKED,
        EventKind.ASKED,
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.CANCELLED,
        EventKind.QUEUE,
    }
)
_UNKNOWN = BackendState(phase=Phase.UNKNOWN)


class ActiveJobs(PartsReader, Protocol):
    """The part of the store that the dispatcher reads."""

    def active(self) -> list[JobState]:
        """Jobs that are not final, or final and to be deleted. Blocks."""
        ...

    def queue_hold(self) -> QueueHold | None:
        """Who holds the queue, None where it goes on. Blocks."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """The newest thing that went wrong, for health()."""

    at: datetime
    message: str
    job_id: str | None = None


class Dispatcher:
    """One per platform."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        reader: ActiveJobs,
        backends: Iterable[Backend],
        settings: Settings,
        now: Callable[[], datetime],
    ) -> None:
        self._recorder = recorder
        self._reader = reader
        self._backends = {backend.name: backend for backend in backends}
        self._interval_s = settings.dispatch_interval_s
        self._grace_s = settings.cancel_grace_s
        self._now = now
        self._care = Care(recorder=recorder, reader=reader, settings=settings, now=now)
        self._admission = Admission(recorder=recorder, settings=settings, care=self._care, now=now)
        self._wake = asyncio.Event()
        self._ticks = 0
        self._last_tick: datetime | None = None
        self._problem: Problem | None = None
        self._healthy = False
        self._restless = False
        self._counts = {"waiting": 0, "running": 0}
        self._places: Mapping[str, QueuePlace] | None = None
        self._surveys: dict[str, Survey] = {}
        self._hold: QueueHold | None = None

    def wake(self) -> None:
        """Look soon. Call it in the event loop of `run`."""
        self._wake.set()

    async def run(self) -> NoReturn:
        """Look for ever."""
        follow = asyncio.create_task(self._follow(), name="follow the feed")
        try:
            while True:
                self._wake.clear()
                await self._try_tick()
                await self._pause(_RESTLESS_S if self._restless else self._interval_s)
        finally:
            follow.cancel()

    async def tick(self) -> None:
        """Look once and do what is needed.

        Raises:
            Unavailable: the database or the recorder is away; nothing can be decided without them.
        """
        self._healthy, self._restless = True, False
        began = time.perf_counter()
        await self._survey()
        # After the backends: a driver commits its end before it exits, so an exit that was seen there
        # finds its event here.
        jobs = await asyncio.to_thread(self._reader.active)
        self._hold = await asyncio.to_thread(self._reader.queue_hold)
        orphans = family.ends(jobs, at=self._now())
        if orphans:
            await self._recorder.record(orphans)  # the next look sees to them
            self._restless = True
        known = {job.id for job in jobs}
        self._care.keep_only(known)
        self._admission.keep_only(known)
        places: dict[str, QueuePlace] = {}
        self._counts = {"waiting": 0, "running": 0}
        for name, survey in self._surveys.items():
            mine = [job for job in jobs if job.runner == name and not self._lacks_backend(job)]
            places |= await self._look_after(mine, self._backends[name], survey)
        absent = [job for job in jobs if self._lacks_backend(job)]
        await asyncio.gather(*(self._take_absent(job) for job in absent))
        if places != self._places and len(self._surveys) == len(self._backends):
            await self._recorder.set_queue(places)
            self._places = places
        self._ticks += 1
        self._last_tick = self._now()
        took_s = time.perf_counter() - began
        measure_look(self._surveys, took_s=took_s, paused=self._hold is not None, now=self._last_tick)

    def _lacks_backend(self, job: JobState) -> bool:
        """True where it cannot be seen to here. A job of several steps is not begun without the one it needs later."""
        wanted = {job.runner} if is_launched(job) else {job.runner, job.backend}
        return not wanted <= self._backends.keys()

    def health(self) -> dict[str, Any]:
        """How the dispatcher is doing, JSON-ready; `ok` is False where the last look failed or is long ago."""
        age = None if self._last_tick is None else (self._now() - self._last_tick).total_seconds()
        late = age is None or age > 10 + 5 * self._interval_s
        problem = self._problem
        return {
            "ok": self._healthy and not late,
            "ticks": self._ticks,
            "last_tick_age_s": age,
            "last_error": None
            if problem is None
            else {"at": problem.at.isoformat(), "message": problem.message, "job_id": problem.job_id},
            **self._counts,
            "paused": self._hold is not None,
            "capacity": {name: _capacity(survey) for name, survey in self._surveys.items()},
        }

    async def _survey(self) -> None:
        """Look at all backends; one that is away is left out, and its jobs wait."""

        async def look(backend: Backend) -> tuple[str, Survey | None]:
            try:
                return backend.name, await backend.survey()
            except ThornbackError as error:
                self._note(error)
                return backend.name, None

        answers = await asyncio.gather(*(look(backend) for backend in self._backends.values()))
        self._surveys = {name: survey for name, survey in answers if survey is not None}

    async def _look_after(self, jobs: list[JobState], backend: Backend, survey: Survey) -> Mapping[str, QueuePlace]:
        waiting: list[JobState] = []
        launched: list[JobState] = []
        due: list[tuple[Step, JobState, BackendState]] = []
        for job in jobs:
            seen = survey.submissions.get(submission_id(job.id, attempt_of(job)), _UNKNOWN)
            step = next_step(
                job,
                seen,
                cancel_seen_at=self._care.cancel_seen_at(job),
                now=self._now(),
                grace_s=self._grace_s,
                takes_up=backend.takes_up,
            )
            if step is Step.QUEUE:
                waiting.append(job)
            elif step is not Step.LEAVE:
                due.append((step, job, seen))
            if job.final is None and is_launched(job) and (seen.phase.is_alive or step is Step.SUBMIT):
                launched.append(job)
        self._counts["waiting"] += len(waiting)
        self._counts["running"] += len(launched)
        measure_queue(backend.name, waiting, len(launched), now=self._now())
        self._restless |= bool(due) or any(job.cancel_requested for job in launched)
        await asyncio.gather(*(self._take(step, job, seen, backend, survey) for step, job, seen in due))
        outcome = await self._admission.admit(waiting, launched, backend, survey, hold=self._hold)
        for job_id, error in outcome.problems.items():
            self._note(error, job_id=job_id)
        await self._stop_strays(jobs, backend, survey)
        return outcome.places

    async def _take(self, step: Step, job: JobState, seen: BackendState, backend: Backend, survey: Survey) -> None:
        try:
            await self._care.take(step, job, seen, backend, survey)
        except ThornbackError as error:
            self._note(error, job_id=job.id)
        except Exception as error:  # whatever is wrong with one job, the others go on
            log.exception("a step failed", job_id=job.id, step=step.value)
            self._note(error, job_id=job.id)

    async def _take_absent(self, job: JobState) -> None:
        try:
            await self._care.take_absent(job)
        except ThornbackError as error:
            self._note(error, job_id=job.id)

    async def _stop_strays(self, jobs: list[JobState], backend: Backend, survey: Survey) -> None:
        attempts = {job.id: self._care.oldest_welcome(job) for job in jobs}
        try:
            self._restless |= await self._care.stop_strays(backend, survey, attempts)
        except ThornbackError as error:
            self._note(error)

    async def _try_tick(self) -> None:
        try:
            await self.tick()
        except ThornbackError as error:
            self._note(error)
        except Exception as error:  # the dispatcher outlives its own faults; health() shows them
            log.exception("a look failed")
            self._note(error)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    async def _follow(self) -> NoReturn:
        """Wake at events that matter. Missing one costs no more than the interval."""
        cursor = -1
        while True:
            try:
                page = await self._recorder.poll(cursor, timeout_s=_POLL_WAIT_S)
            except ThornbackError as error:
                log.warning("the feed is away", error=error.message)
                await asyncio.sleep(_POLL_RETRY_S)
                continue
            cursor = page.cursor
            if page.catch_up or any(event.kind in _WAKING for event in page.events):
                self._wake.set()
            await asyncio.sleep(_POLL_PAUSE_S)

    def _note(self, error: Exception, *, job_id: str | None = None) -> None:
        message = error.message if isinstance(error, ThornbackError) else f"{type(error).__name__}: {error}"
        if self._problem is None or (message, job_id) != (self._problem.message, self._problem.job_id):
            # Once, and not again at each look for as long as it lasts.
            log.error("dispatching failed", error=message, **({} if job_id is None else {"job_id": job_id}))
        self._healthy = False
        catalogue.DISPATCH_FAULTS.add()
        self._problem = Problem(self._now(), message, job_id)


def _capacity(survey: Survey) -> dict[str, Any]:
    return {
        "nodes": len(survey.nodes),
        "cpus": {"total": survey.total.cpus, "free": survey.free.cpus},
        "gpus": {"total": survey.total.gpus, "free": survey.free.gpus},
    }
