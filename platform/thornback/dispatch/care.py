"""Looking after one job: submit it, stop it, end it, try it again, remove it.

Every step may be taken twice, by this dispatcher or by the next one after a crash: what it records is
told apart by the event's key, and what it asks of a backend is idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

from thornback.backends.port import Backend, BackendState, Phase, Survey, job_of, submission_id
from thornback.dispatch import family
from thornback.dispatch.absent import NOTHING, AbsentBackend
from thornback.dispatch.belongings import delete_files, delete_temporary
from thornback.dispatch.diagnose import Diagnosis, diagnose
from thornback.dispatch.supervise import Step, attempt_of, is_launched
from thornback.dispatch.uploads import NamingReader, give_up_with
from thornback.errors import BackendError, JobNotFound
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason
from thornback.jobs.versions import ModelVersion
from thornback.log import get_logger
from thornback.metrics.port import Recorder
from thornback.settings import Settings
from thornback.telemetry import traces

log = get_logger("dispatcher")

_LOG_LINES = 200  # enough for a traceback inside a traceback

# A stop is asked for again where the processes are still there after so long.
_STOP_AGAIN = timedelta(seconds=5)

# Waits before a refused submission is tried again, in seconds: 1, 2, 4, … up to 60.
_LONGEST_REST_S = 60

_RESTARTED = Diagnosis(
    FailureReason.DRIVER_LOST, "the cluster was restarted while the job ran, and has no record of it"
)


class PartsReader(NamingReader, Protocol):
    """The part of the store that is read here."""

    def parts(self, job_id: str) -> list[JobState]:
        """The jobs that are parts of this one. Blocks."""
        ...

    def kept_versions(self, job_id: str) -> Collection[ModelVersion]:
        """The model versions of a job that stay when it is deleted. Blocks."""
        ...


class Care:
    """Carries out steps. Its own memory is only about when to do something again."""

    def __init__(
        self, *, recorder: Recorder, reader: PartsReader, settings: Settings, now: Callable[[], datetime]
    ) -> None:
        self._recorder = recorder
        self._reader = reader
        self._settings = settings
        self._now = now
        self._stopped_at: dict[str, datetime] = {}  # by submission id
        self._cancel_seen_at: dict[str, datetime] = {}  # by job id
        self.rests_until: dict[str, datetime] = {}  # by job id, after a refused submission

    def keep_only(self, jobs: set[str]) -> None:
        """Forget what is known of other jobs."""
        for notes in (self._cancel_seen_at, self.rests_until):
            for job_id in notes.keys() - jobs:
                del notes[job_id]
        for key in list(self._stopped_at):
            owner = job_of(key)
            if owner is None or owner[0] not in jobs:
                del self._stopped_at[key]

    def cancel_seen_at(self, job: JobState) -> datetime | None:
        """When the wish to cancel a job was first seen here, None where there is none."""
        return self._cancel_seen_at.setdefault(job.id, self._now()) if job.cancel_requested else None

    def rests_until_of(self, job_id: str) -> datetime | None:
        """When a job whose submission was refused may be submitted again; None where it may at once."""
        until = self.rests_until.get(job_id)
        # a later one was written down before the clock was set back
        return until if until is not None and until <= self._now() + timedelta(seconds=_LONGEST_REST_S) else None

    async def take(self, step: Step, job: JobState, seen: BackendState, backend: Backend, survey: Survey) -> None:
        """Carry out a step. Raises ThornbackError; the step is then due again."""
        match step:
            case Step.SUBMIT:
                await self.submit(job, attempt_of(job), backend)
            case Step.STOP:
                await self.stop(submission_id(job.id, attempt_of(job)), backend)
            case Step.CANCEL:
                outside = seen.phase is Phase.STOPPED and not job.cancel_requested
                words = "its Ray job was stopped from outside" if outside else "cancelled on request"
                await self._cancel(job, words)
            case Step.LOST:
                await self._lost(job, seen, backend)
            case Step.PURGE:
                await self._purge(job, backend, survey)
            case Step.QUEUE | Step.LEAVE:
                pass

    async def take_absent(self, job: JobState) -> None:
        """See to a job whose backend is not set up here: it can end and go, but not start."""
        absent = AbsentBackend(job.backend)
        if job.final is not None:
            await self._purge(job, absent, NOTHING)
        elif job.cancel_requested:
            hint = f"; {absent.remedy} to end what may still run there" if is_launched(job) else ""
            await self._cancel(job, f"cancelled on request{hint}")
        elif not is_launched(job):
            # What was launched goes on where it is, and webhooks may still tell its end.
            reason, attempt = FailureReason.PROVIDER_REFUSED, Attempt(attempt_of(job))
            message = f"backend: {job.backend} is not set up here; {absent.remedy}"
            await self._record(EventFactory(job.id).failed(attempt, reason=reason, message=message, at=self._now()))

    async def submit(self, job: JobState, attempt: int, backend: Backend) -> None:
        """Hand an attempt to its backend. `scheduled` is committed already."""
        try:
            about: traces.About = {"thornback.job_id": job.id, "thornback.attempt": attempt, "backend": backend.name}
            with traces.span("launch", parent=job.traceparent, about=about):
                await backend.start(job, attempt)
        except BackendError as error:
            # The backend refused; one that is away raises something else and is asked again.
            await self._again_or_failed(job, attempt, Diagnosis(FailureReason.SUBMIT_FAILED, error.message))
            rest_s = min(_LONGEST_REST_S, 2 ** (attempt - 1))
            self.rests_until[job.id] = self._now() + timedelta(seconds=rest_s)

    async def stop(self, key: str, backend: Backend) -> None:
        """Ask a submission to end, and ask again where it does not."""
        asked = self._stopped_at.get(key)
        if asked is None or abs(self._now() - asked) >= _STOP_AGAIN:  # ahead of us where the clock was set back
            await backend.stop(key)
            self._stopped_at[key] = self._now()

    async def _cancel(self, job: JobState, message: str) -> None:
        """Once its parts have ended as well; until then the step stays due."""
        parts = await asyncio.to_thread(self._reader.parts, job.id)
        wishes = family.cancels(parts, at=self._now())
        if wishes:
            await self._recorder.record(wishes)
        if any(part.final is None for part in parts):
            return
        await self._clean_up(job)
        make = EventFactory(job.id)
        if job.stop_reason is None:
            await self._record(make.cancelled(at=self._now(), message=job.ended_early or message))
        else:
            why, attempt = FailureReason.QUOTA_REACHED, Attempt(attempt_of(job))
            await self._record(make.failed(attempt, reason=why, message=job.stop_reason, at=self._now()))

    async def _clean_up(self, job: JobState) -> None:
        """What its run could not do any more. What stays goes with the sweep of temp/."""
        try:
            await asyncio.to_thread(delete_temporary, self._settings, job.id)
        except OSError as error:
            log.warning("temporary files are left until the next sweep", job_id=job.id, error=str(error))

    async def _lost(self, job: JobState, seen: BackendState, backend: Backend) -> None:
        attempt = attempt_of(job)
        if seen.phase is Phase.UNKNOWN:
            found = _RESTARTED
        else:
            printed = await self._printed(submission_id(job.id, attempt), backend)
            found = diagnose(printed, seen.exit_code, seen.message)
        await self._again_or_failed(job, attempt, found)

    async def _printed(self, key: str, backend: Backend) -> str:
        try:
            return await backend.log_tail(key, _LOG_LINES)
        except Exception as error:  # noqa: BLE001 - no fault of a log may leave its job `running`
            # The backend's own message has the last lines too.
            log.warning("the log cannot be read", submission_id=key, error=str(error))
            return ""

    async def _again_or_failed(self, job: JobState, attempt: int, found: Diagnosis) -> None:
        events = EventFactory(job.id)
        log.warning("attempt lost", job_id=job.id, attempt=attempt, reason=found.reason.value, message=found.message)
        if found.reason.is_retryable and job.runs_lost < int(job.spec["max_retries"]):
            following = Attempt(attempt + 1)
            event = events.retried(following, reason=found.reason, message=found.message, at=self._now())
        else:
            message = found.message if attempt == 1 else f"{found.message} (attempt {attempt})"
            await self._clean_up(job)
            event = events.failed(Attempt(attempt), reason=found.reason, message=message, at=self._now())
        await self._record(event)

    async def _purge(self, job: JobState, backend: Backend, survey: Survey) -> None:
        """Files first, then the backend's record, then the rows: a crash in between leaves the wish in the row."""
        mine = [key for key in survey.submissions if (job_of(key) or ("", 0))[0] == job.id]
        alive = [key for key in mine if survey.submissions[key].phase.is_alive]
        for key in alive:
            await self.stop(key, backend)
        if alive or any(key in survey.holdings for key in mine):
            return  # its workers may still be writing
        kept = await asyncio.to_thread(self._reader.kept_versions, job.id)
        try:
            await asyncio.to_thread(delete_files, self._settings, job, kept)
            await asyncio.to_thread(give_up_with, job, self._settings, self._reader)
        except OSError as error:
            raise BackendError(f"the files of the job cannot be deleted: {error}", job_id=job.id) from error
        await backend.forget(job)
        parts = family.deletions(await asyncio.to_thread(self._reader.parts, job.id), at=self._now())
        if parts:
            await self._recorder.record(parts)
        await self._recorder.delete(job.id)
        log.info("deleted", job_id=job.id)

    async def stop_strays(self, backend: Backend, survey: Survey, attempts: dict[str, int]) -> bool:
        """Stop what runs and should not: old attempts, jobs that have ended or are gone.

        Args:
            backend: whose.
            survey: what runs.
            attempts: of each job that is looked after, the oldest attempt that may run.

        Returns:
            True where something still has to end.
        """
        strays = False
        for key, seen in survey.submissions.items():
            owner = job_of(key)
            if owner is None or not seen.phase.is_alive:
                continue
            job_id, attempt = owner
            if job_id in attempts:
                is_stray = attempt < attempts[job_id]
            else:
                strays = True  # it should be ending by itself
                is_stray = await self._has_no_reason_to_run(job_id)
            if is_stray:
                strays = True
                log.warning("stopping a submission that nobody waits for", job_id=job_id, submission_id=key)
                await self.stop(key, backend)
        return strays

    def oldest_welcome(self, job: JobState) -> int:
        """The present attempt; of a job that has just been parked the one before, which takes itself down."""
        attempt = attempt_of(job)
        parked_at = job.parked_at if job.parked == attempt else None
        return attempt - 1 if parked_at is not None and self._now() <= parked_at + LINGER else attempt

    async def _has_no_reason_to_run(self, job_id: str) -> bool:
        try:
            job = await self._recorder.job(job_id)
        except JobNotFound:
            return True
        if job.final is None or job.completed_at is None:
            return False  # it was created after the database was read
        return self._now() > job.completed_at + LINGER

    async def _record(self, event: JobEvent) -> None:
        await self._recorder.record([event])


# A driver that has reported its end may take so long to take itself down.
LINGER = timedelta(seconds=15)
