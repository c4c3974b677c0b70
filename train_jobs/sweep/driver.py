"""The driver of one sweep: has Ray Tune decide and the platform run the trials, and tells how far it is.

It takes no core of the cluster. A driver that is killed leaves its trials running; the next attempt takes them up.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from datetime import UTC, datetime
from typing import Any

import anyio
from anyio.to_thread import run_sync

from thornback.errors import Conflict, DataError, InvalidInput, JobNotFound, NotFound, ThornbackError
from thornback.jobs.events import Attempt
from thornback.jobs.spec import JobSpec, SweepSpec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason
from thornback.jobs.sweep import FACT_SWEEP
from thornback.jobs.trials import TRAININGS, unit_of
from thornback.metrics.actor import connect
from thornback.metrics.port import Recorder
from thornback.metrics.reporter import Reporter
from thornback.models.best import publish_best
from thornback.settings import Settings
from train_jobs.common.driver import DELIVERY_S, EXIT_FAILED, EXIT_OK, EXIT_UNHEARD
from train_jobs.common.failures import classify
from train_jobs.common.leaving import Cause, Stopping
from train_jobs.sweep.children import Children
from train_jobs.sweep.ending import Enough
from train_jobs.sweep.slots import Slots
from train_jobs.sweep.tally import Tally, percent, seconds_left, tally
from train_jobs.sweep.trial import Follower
from train_jobs.sweep.tuning import Tuning

LOOK_S = 1.0
_ENDS_S = 120.0  # trials that were asked to end are waited for, so that the best one is known


def make_driver(
    *,
    spec: JobSpec,
    settings: Settings,
    run_uri: str,
    reporter: Reporter,
    job_id: str | None = None,
    attempt: Attempt | None = None,
    resume_from: str | None = None,
    is_ray_own: bool = False,
) -> SweepDriver:
    """See MakeDriver."""
    if not isinstance(spec, SweepSpec):
        raise InvalidInput.field("kind", f"this runs sweep and no {spec.kind}")
    if job_id is None:
        problem = "a sweep gives its trials to the platform's queue: start one with `thornback submit`"
        raise InvalidInput.field("config", problem)
    recorder = connect(settings)
    job = asyncio.run(recorder.job(job_id))
    return SweepDriver(job=job, spec=spec, run_uri=run_uri, reporter=reporter, recorder=recorder, settings=settings)


class SweepDriver:
    """One attempt, from what earlier ones left to its end."""

    def __init__(
        self,
        *,
        job: JobState,
        spec: SweepSpec,
        run_uri: str,
        reporter: Reporter,
        recorder: Recorder,
        settings: Settings,
    ) -> None:
        self._job, self._spec, self._config = job, spec, spec.config
        self._recorder, self._settings = recorder, settings
        self._run_uri, self._reporter = run_uri, reporter
        self._stopping = Stopping(reporter)
        self._children = Children(recorder=recorder, sweep=job, spec=spec, run_uri=run_uri)
        self._began = job.started_at or datetime.now(UTC)
        self._enough = Enough(hours=spec.config.budget.hours, started_at=self._began)
        self._ended: dict[str, JobState] = {}  # trials' jobs that stay as they are
        self._told: dict[str, Any] = {}

    def main(self) -> int:
        """Run and tell the end. The exit code says whether the end was told, not whether it is good news."""
        code = asyncio.run(self._main())
        return code if self._reporter.close(timeout_s=DELIVERY_S) else EXIT_UNHEARD

    async def _main(self) -> int:
        self._reporter.started()
        self._reporter.stage("searching")
        follower = Follower(
            loop=asyncio.get_running_loop(),
            children=self._children,
            enough=self._enough,
            slots=Slots(self._config.concurrency),
            space=self._config.space,
            run_uri=self._run_uri,
        )
        with self._stopping.handling_signals():
            try:
                await self._search(follower)
                if self._stopping.cause is not None:
                    return self._left()
                return await self._finish()
            except Exception as error:  # noqa: BLE001 - whatever it was, the job must be told the true reason
                if not isinstance(error, ThornbackError):
                    traceback.print_exception(error)
                failure = classify(error)
                self._reporter.failed(failure.reason, failure.message)
                return EXIT_FAILED

    async def _search(self, follower: Follower) -> None:
        """Until every trial has ended, or the driver has to go."""
        fault: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, follower)
            try:
                await run_sync(self._tune, follower)
            except Exception as error:  # noqa: BLE001 - raised below, outside of the group that would wrap it
                fault = error
            group.cancel_scope.cancel()
        if fault is not None:
            raise fault

    def _tune(self, follower: Follower) -> None:
        kind = str(self._config.trial.get("kind", TRAININGS[0]))
        tuning = Tuning(self._config, follower=follower, longest=self._longest(), unit=unit_of(kind))
        tuning.run(follower.leaving.is_set)

    async def _watch(self, follower: Follower) -> None:
        """Once a second: has it to go, is the time over, and how far is it?"""
        while True:
            self._enough.look(datetime.now(UTC))
            if self._stopping.cause is not None:
                follower.leaving.set()
                return
            self._tell(await self._tally(), follower.percent)
            await anyio.sleep(LOOK_S)

    async def _tally(self) -> Tally:
        jobs = []
        for record in list(self._children.records.values()):
            job = await self._newest(record.jobs[-1]) if record.jobs and record.made else None
            jobs += [] if job is None else [job]
        refused = sum(record.refused is not None for record in self._children.records.values())
        return tally(jobs, planned=self._config.planned_trials, refused=refused, mode=self._config.mode)

    async def _newest(self, job_id: str) -> JobState | None:
        if job_id not in self._ended:
            try:
                job = await self._children.look(job_id)
            except JobNotFound:
                return None
            if not job.status.is_final:
                return job
            self._ended[job_id] = job
        return self._ended[job_id]

    def _tell(self, now: Tally, running: dict[str, float]) -> None:
        facts = now.facts(self._enough.told)
        going_on = {trial: share for trial, share in running.items() if share < 100.0}
        share = percent(now, going_on)
        elapsed_s = (datetime.now(UTC) - self._began).total_seconds()
        hours = self._config.budget.hours
        until_s = None if hours is None else max(0.0, hours * 3600 - elapsed_s)
        eta_s = seconds_left(share / 100.0, elapsed_s, until_s)
        if (facts, round(share)) != (self._told.get("facts"), self._told.get("share")):
            self._told = {"facts": facts, "share": round(share)}
            self._reporter.describe(**{FACT_SWEEP: facts})
            self._reporter.progress(percent=share, epoch=0, total_epochs=0, eta_seconds=eta_s)

    async def _finish(self) -> int:
        """Wait for those that were asked to end, then tell what came of it all."""
        self._reporter.stage("ending")
        if self._enough.reason is not None:
            await self._end_all(self._enough.reason)
        done = await self._settled()
        facts = done.facts(self._enough.told)
        self._reporter.describe(**{FACT_SWEEP: facts})
        if done.best is None:
            self._reporter.failed(FailureReason.EXCEPTION, await self._nothing(done))
            return EXIT_FAILED
        if done.failed:
            self._reporter.log(f"{done.failed} of {done.made} trials failed; the leaderboard says why")
        if self._config.publish:
            await self._publish()
        shown = {name: value for name, value in facts.items() if name not in ("best_parameters", "running")}
        self._reporter.succeeded(shown)
        return EXIT_OK

    async def _publish(self) -> None:
        """Make the best trial a version; where that cannot be, the search is no less worth for it."""
        self._reporter.stage("publishing")
        jobs = [await self._newest(record.jobs[-1]) for record in self._children.records.values() if record.made]
        trials = [job for job in jobs if job is not None]
        try:
            version = await publish_best(self._recorder, self._settings, self._job, trials, now=datetime.now(UTC))
        except (Conflict, DataError, NotFound) as error:
            self._reporter.log(f"nothing was published: {error.message}")
            return
        self._reporter.describe(model=version.model, model_version=version.version, version_of=version.job_id)
        self._reporter.log(f"published as {version.model} v{version.version}")

    async def _end_all(self, why: str) -> None:
        for record in list(self._children.records.values()):
            for job_id in record.jobs:
                await self._children.end(job_id, why)

    async def _settled(self) -> Tally:
        give_up = time.monotonic() + _ENDS_S
        while True:
            self._ended.clear()  # what came after their ends is looked at as well
            done = await self._tally()
            if not done.running or time.monotonic() > give_up or self._stopping.cause is not None:
                return done
            await anyio.sleep(LOOK_S)

    async def _nothing(self, done: Tally) -> str:
        """Why there is no result."""
        metric = self._config.metric
        if not done.made:
            return f"no trial began: {self._enough.told or 'there was nothing to try'}"
        for record in self._children.records.values():
            job = await self._newest(record.jobs[-1]) if record.jobs and record.made else None
            words = record.refused or (job.error_message if job is not None else None)
            if words is not None:
                return f"none of {done.made} trials measured {metric}; trial {record.number}: {words}"
        return f"none of {done.made} trials measured {metric}" + (f": {self._enough.told}" if self._enough.told else "")

    def _left(self) -> int:
        """Cancelled: the dispatcher ends the trials with it. Else the next attempt takes them up."""
        cause = self._stopping.cause
        if cause is Cause.SIGNAL and self._stopping.signal is not None:
            return 128 + self._stopping.signal
        return EXIT_OK

    def _longest(self) -> int:
        """Epochs or steps of a whole trial, the longest where it is searched."""
        config = self._config.trial.get("config", {})
        unit = unit_of(str(self._config.trial.get("kind", TRAININGS[0])))
        field = "epochs" if unit == "epoch" else "steps"
        domain = self._config.space.get(f"config.{field}")
        if domain is not None:
            return max(int(value) for value in domain.edges() if isinstance(value, int | float))
        chosen = config.get(field) or getattr(next(self._spec.examples()).config, field, None)
        return int(chosen or 1000)
