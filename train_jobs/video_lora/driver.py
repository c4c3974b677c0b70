"""The driver of one pipeline: its stages in their order, and how it ended. Takes no core of the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
import traceback
from functools import partial

import anyio
from anyio.to_thread import run_sync

from thornback.artifacts.files import locate
from thornback.artifacts.layout import temp_uri
from thornback.errors import InvalidInput, ThornbackError
from thornback.jobs.events import Attempt
from thornback.jobs.spec import JobSpec, VideoLoraSpec
from thornback.jobs.state import JobState
from thornback.jobs.versions import ModelVersion
from thornback.jobs.video_stages import StageClock
from thornback.metrics.actor import connect
from thornback.metrics.port import Recorder
from thornback.metrics.reporter import Reporter
from thornback.settings import Settings
from train_jobs.common.driver import DELIVERY_S, EXIT_FAILED, EXIT_OK, EXIT_UNHEARD
from train_jobs.common.leaving import Cause, Stopped, Stopping
from train_jobs.video_lora import dataset, training
from train_jobs.video_lora.child import Child
from train_jobs.video_lora.failure import failure_of
from train_jobs.video_lora.frames import find_frames
from train_jobs.video_lora.history import Durations
from train_jobs.video_lora.journal import Journal
from train_jobs.video_lora.ray_runner import cores
from train_jobs.video_lora.run import Run, work_folder
from train_jobs.video_lora.steps import Steps
from train_jobs.video_lora.teller import Teller
from train_jobs.video_lora.turns import Turns


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
) -> PipelineDriver:
    """See MakeDriver."""
    if not isinstance(spec, VideoLoraSpec):
        raise InvalidInput.field("kind", f"this runs video_lora and no {spec.kind}")
    if job_id is None:
        problem = "a pipeline gives its training to the platform's queue: start one with `thornback submit`"
        raise InvalidInput.field("config", problem)
    recorder = connect(settings)
    job = asyncio.run(recorder.job(job_id))
    return PipelineDriver(job=job, spec=spec, settings=settings, run_uri=run_uri, reporter=reporter, recorder=recorder)


class PipelineDriver:
    """One attempt, from what earlier ones left to its end."""

    def __init__(
        self,
        *,
        job: JobState,
        spec: VideoLoraSpec,
        settings: Settings,
        run_uri: str,
        reporter: Reporter,
        recorder: Recorder,
    ) -> None:
        self._job, self._settings = job, settings
        self._reporter, self._recorder = reporter, recorder
        self._stopping = Stopping(reporter)
        trainer = spec.config.base_model if spec.backend == "ray" else spec.config.trainer
        self._durations = Durations(settings.cache_uri("video_lora"), trainer=f"{spec.backend}:{trainer or ''}")
        teller = Teller(reporter, StageClock(self._durations.read()), time.monotonic)
        turns = Turns(settings.home / "turns", slots=settings.video_slots)
        steps = Steps(Journal(run_uri), teller, reporter, turns)
        self._run = Run(
            job=job,
            spec=spec,
            settings=settings,
            recorder=recorder,
            reporter=reporter,
            teller=teller,
            steps=steps,
            check=self._stopping.check,
            share=lambda: share_of(cores(), turns.busy()),
        )

    def main(self) -> int:
        """Run and tell the end. The exit code says whether the end was told, not whether it is good news."""
        code = asyncio.run(self._main())
        return code if self._reporter.close(timeout_s=DELIVERY_S) else EXIT_UNHEARD

    async def _main(self) -> int:
        self._reporter.started()
        await run_sync(partial(sweep, self._settings, now=time.time()))
        with self._stopping.handling_signals():
            try:
                version = await self._until_stopped()
            except Exception as error:  # noqa: BLE001 - whatever it was, the job must be told the true reason
                return await self._failed(error)
            if version is None:
                return await (self._parked() if self._stopping.cause is None else self._stopped())
        await self._clean_up()
        await self._keep_durations()
        summary = {"model": version.model, "version": version.version, "size_bytes": version.size_bytes}
        self._reporter.succeeded(summary)
        return EXIT_OK

    async def _until_stopped(self) -> ModelVersion | None:
        """The version, or None where the run had to end before its time, or waits for a person."""
        version: ModelVersion | None = None
        fault: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._stopping.watch, group.cancel_scope)
            try:
                version = await self._stages()
            except Stopped:
                pass
            except Exception as error:  # noqa: BLE001 - raised below, outside of the group that would wrap it
                fault = error
            group.cancel_scope.cancel()
        if self._stopping.cause is not None and version is None:
            return None
        if fault is not None:
            raise fault
        return version

    async def _stages(self) -> ModelVersion | None:
        run = self._run
        try:
            if not await dataset.is_stored(run):
                found = await find_frames(run)
                await dataset.store(run, found, await dataset.make(run, found))
            if not dataset.is_approved(run):
                return None
            data = await dataset.pack(run)
            await run.steps.close()
            trained = await training.train(run, data)
            weights = await training.collect(run, trained)
            return await training.publish(run, trained, data, weights)
        finally:
            await run.steps.close()

    async def _failed(self, error: Exception) -> int:
        if not isinstance(error, ThornbackError):
            traceback.print_exception(error)
        failure = failure_of(self._run.steps.stage, error)
        await Child(self._recorder, self._job).cancel()
        await self._clean_up()
        self._reporter.failed(failure.reason, failure.message)
        return EXIT_FAILED

    async def _parked(self) -> int:
        """Nothing is held while a person looks: what is needed later lies in the storage."""
        await self._clean_up()
        self._reporter.parked()
        return EXIT_OK

    async def _stopped(self) -> int:
        """The dispatcher says that it was cancelled, once nothing of it runs any more."""
        cause = self._stopping.cause
        if cause is Cause.CANCELLED:
            await Child(self._recorder, self._job).cancel()
            await self._clean_up()
        if cause is Cause.SIGNAL and self._stopping.signal is not None:
            return 128 + self._stopping.signal
        return EXIT_OK

    async def _keep_durations(self) -> None:
        """What was learned for later runs; its lack only makes their guess worse."""
        try:
            await run_sync(self._durations.write, self._job.id, self._run.steps.took)
        except (ThornbackError, OSError) as error:
            self._reporter.log(f"the durations of the stages are not kept: {error}")

    async def _clean_up(self) -> None:
        """Remove what only this job needs. What cannot be removed now goes with the sweep of temp/."""
        try:
            await run_sync(_remove, self._settings, self._job.id)
        except (ThornbackError, OSError) as error:
            self._reporter.log(f"temporary files are left until the next sweep: {error}")


def share_of(cores: int, pipelines: int) -> int:
    """How many cores one of so many pipelines may keep busy: a quarter of them is left for jobs that wait for one."""
    return max(1, (cores - cores // 4) // max(1, pipelines))


def _remove(settings: Settings, job_id: str) -> None:
    locate(temp_uri(settings.storage, job_id)).delete_tree()
    folder = work_folder(settings, job_id)
    shutil.rmtree(folder, ignore_errors=True)


def sweep(settings: Settings, *, now: float, after_s: float = 86_400.0) -> None:
    """Remove what dead drivers left on this machine, where the storage's own sweep does not see it."""
    root = work_folder(settings, "x").parent
    if "://" not in settings.storage or not root.is_dir():
        return
    for folder in root.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another driver was quicker
            if folder.stat().st_mtime < now - after_s:
                shutil.rmtree(folder, ignore_errors=True)
