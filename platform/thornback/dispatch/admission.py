"""Carrying out what the policy decides for the waiting jobs of one backend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

from thornback.backends.port import Backend, Resources, Survey, submission_id
from thornback.dispatch.capacity import fraction
from thornback.dispatch.care import Care
from thornback.dispatch.measured import measure_launch
from thornback.dispatch.order import Running, Waiting
from thornback.dispatch.policy import Decision, Limits, choose
from thornback.dispatch.reasons import held, provider_of
from thornback.dispatch.supervise import attempt_of
from thornback.errors import InvalidInput, ThornbackError
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.queue import QueueHold
from thornback.jobs.spec import ResourceRequest, parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.log import get_logger
from thornback.metrics.port import QueuePlace, Recorder
from thornback.settings import Settings

log = get_logger("dispatcher")

# Ray knows one request at a time, and the actor in which Ray Train and Ray Data gather theirs sends its own every 20 s.
_ASK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an admission did."""

    started: tuple[str, ...]
    places: Mapping[str, QueuePlace]
    problems: Mapping[str, ThornbackError]  # by job id; those jobs are due again


class Admission:
    """Remembers who was given what, for fairness, and what was asked of the autoscaler."""

    def __init__(self, *, recorder: Recorder, settings: Settings, care: Care, now: Callable[[], datetime]) -> None:
        self._recorder = recorder
        self._care = care
        self._now = now
        self._since = now()
        self._limits = Limits(
            max_running=settings.max_running_jobs,
            max_light=settings.max_pipelines,
            growth=_growth(settings.cluster_limits),
        )
        self._granted: dict[str, datetime] = {}  # by user
        self._requests: dict[tuple[str, bool], ResourceRequest] = {}  # a spec never changes
        self._wanted: dict[str, tuple[Resources, ...]] = {}  # asked of the autoscaler, by backend
        self._asked_at: dict[str, datetime] = {}

    def keep_only(self, jobs: set[str]) -> None:
        """Forget what is known of other jobs."""
        for key in [key for key in self._requests if key[0] not in jobs]:
            del self._requests[key]

    async def admit(
        self,
        waiting: Sequence[JobState],
        launched: Sequence[JobState],
        backend: Backend,
        survey: Survey,
        *,
        hold: QueueHold | None = None,
    ) -> Outcome:
        """Start what may start; tell the others why they wait. With a `hold` nothing is started."""
        has_gpu = survey.total.gpus > 0 or (self._limits.growth is not None and 0 < self._limits.growth.gpus < inf)
        unreadable = await self._refuse_unreadable(waiting)
        jobs = {job.id: job for job in waiting if job.id not in unreadable}
        decision = choose(
            now=self._now(),
            waiting=[self._waiting(job, has_gpu=has_gpu) for job in jobs.values()],
            running=[self._running(job, survey, has_gpu=has_gpu) for job in launched],
            nodes=survey.nodes,
            limits=self._limits_of(survey, hold),
            granted=self._granted,
        )
        await self._record(decision, jobs)
        problems = await self._start([jobs[job_id] for job_id in decision.start], backend)
        problem = await self._grow(decision.wanted, backend)
        if problem is not None:
            log.warning("the autoscaler cannot be asked", error=problem.message)
        return Outcome(decision.start, decision.places, problems)

    async def _refuse_unreadable(self, jobs: Sequence[JobState]) -> set[str]:
        """Fail the jobs whose specification this version cannot read, so that they do not stop the others."""
        events: list[JobEvent] = []
        for job in jobs:
            try:
                self._request(job, has_gpu=False)
            except InvalidInput as error:
                message = f"the specification cannot be read: {error.message}"
                attempt = Attempt(attempt_of(job))
                reason = FailureReason.EXCEPTION
                events.append(EventFactory(job.id).failed(attempt, reason=reason, message=message, at=self._now()))
        if events:
            await self._recorder.record(events)
        return {event.job_id for event in events}

    async def _record(self, decision: Decision, jobs: Mapping[str, JobState]) -> None:
        """One commit for all: `scheduled` has to be there before a job is submitted."""
        at = self._now()
        events: list[JobEvent] = []
        for job_id, message in decision.impossible.items():
            attempt = Attempt(attempt_of(jobs[job_id]))
            reason = FailureReason.IMPOSSIBLE_RESOURCES
            events.append(EventFactory(job_id).failed(attempt, reason=reason, message=message, at=at))
        for job_id in decision.start:
            attempt = Attempt(attempt_of(jobs[job_id]))
            name = submission_id(job_id, attempt.number)
            events.append(EventFactory(job_id).scheduled(attempt, submission_id=name, at=at))
        for job_id, reason_text in decision.pending.items():
            job = jobs[job_id]
            if job.status is JobStatus.PENDING and job.reason == reason_text:
                continue
            events.append(EventFactory(job_id).pending(Attempt(attempt_of(job)), reason=reason_text, at=at))
        if events:
            await self._recorder.record(events)
        for job_id in decision.start:
            measure_launch(jobs[job_id], attempt=attempt_of(jobs[job_id]), at=at)

    async def _start(self, jobs: Sequence[JobState], backend: Backend) -> dict[str, ThornbackError]:
        async def start(job: JobState) -> tuple[str, ThornbackError | None]:
            try:
                await self._care.submit(job, attempt_of(job), backend)
            except ThornbackError as error:
                return job.id, error
            return job.id, None

        for job in jobs:
            self._granted[job.user] = self._now()
        answers = await asyncio.gather(*(start(job) for job in jobs))
        return {job_id: error for job_id, error in answers if error is not None}

    async def _grow(self, wanted: tuple[Resources, ...], backend: Backend) -> ThornbackError | None:
        if not wanted and backend.name not in self._wanted:
            return None
        if self._limits.growth is None or (self._wanted.get(backend.name) == wanted and not self._is_stale(backend)):
            return None
        try:
            await backend.request(wanted)
        except ThornbackError as error:
            return error
        self._wanted[backend.name] = wanted
        self._asked_at[backend.name] = self._now()
        return None

    def _is_stale(self, backend: Backend) -> bool:
        """True where somebody else may have replaced what was asked for; nothing has to be held up by asking again."""
        asked_at = self._asked_at[backend.name]
        return bool(self._wanted[backend.name]) and abs(self._now() - asked_at) >= _ASK_AGAIN

    def _limits_of(self, survey: Survey, hold: QueueHold | None) -> Limits:
        return replace(
            self._limits,
            growth=self._limits.growth if provider_of(survey.nodes) is None else None,
            held=None if hold is None else held(hold.by, hold.reason),
        )

    def _waiting(self, job: JobState, *, has_gpu: bool) -> Waiting:
        return Waiting(
            job_id=job.id,
            name=job.job_name,
            user=job.user,
            priority=job.priority,
            created_at=job.created_at or self._since,
            request=self._request(job, has_gpu=has_gpu),
            not_before=self._care.rests_until_of(job.id),
            # It ran before, or was found to fit at least: after a restart of a cluster its nodes arrive one by
            # one, and a lost node may come back.
            fitted_before=attempt_of(job) > 1 or job.status is JobStatus.PENDING,
        )

    def _running(self, job: JobState, survey: Survey, *, has_gpu: bool) -> Running:
        """A job that has not taken its resources yet, or between two runs of its workers, keeps a claim to them."""
        request = self._request(job, has_gpu=has_gpu)
        bundle = Resources(request.cpus, request.gpus)
        held = survey.holdings.get(submission_id(job.id, attempt_of(job)))
        workers = request.min_workers if held is None else max(1, round(min(fraction(held, bundle), request.workers)))
        return Running(
            job_id=job.id, name=job.job_name, user=job.user, bundle=bundle, workers=workers, holds=held is not None
        )

    def _request(self, job: JobState, *, has_gpu: bool) -> ResourceRequest:
        key = (job.id, has_gpu)
        if key not in self._requests:
            self._requests[key] = parse_spec(job.spec).resources(cluster_has_gpu=has_gpu)
        return self._requests[key]


def _growth(limits: Mapping[str, float]) -> Resources | None:
    """The settings' bounds; a resource that they do not name is not bounded."""
    return Resources(limits.get("CPU", inf), limits.get("GPU", inf)) if limits else None
