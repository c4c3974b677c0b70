"""Ray Tune's controller for one sweep: its trials in threads, its state as one object in the run's folder.

Tune writes its state as several files, one after the other, and only now and then. A driver may be killed between two
of them, or after a trial has begun of which no state knows. Here the state is one archive, written before any new
trial begins, so that whatever has a job is in it.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.train._internal.storage import StorageContext
from ray.tune import Callback, ResumeConfig
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Experiment, Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, PopulationBasedTraining

from thornback.artifacts.files import join, locate
from thornback.errors import TrainingFailed
from thornback.jobs.status import FailureReason
from thornback.jobs.sweep import SweepConfig
from train_jobs.sweep.reasons import why_stopped
from train_jobs.sweep.searchers import REACHED, open_scheduler, open_search, param_space
from train_jobs.sweep.seats import Seats
from train_jobs.sweep.trial import Follower, TrialRun

STATE = "tune.zip"
_NAME = "sweep"
_SCHEDULER = "scheduler.pkl"
_SAVE_S = 10.0

# Trials do not move this process to their folders, their failures are told by their jobs, and the last state is ours.
_TUNE_SETTINGS = {"RAY_CHDIR_TO_TRIAL_DIR": "0", "TUNE_PRINT_ALL_TRIAL_ERRORS": "0", "TUNE_GLOBAL_CHECKPOINT_S": "1e9"}


class Tuning:
    """The experiment of one attempt, gone on with where an earlier one left a state."""

    def __init__(self, config: SweepConfig, *, follower: Follower, longest: int, unit: str) -> None:
        """`longest`: epochs or steps of a whole trial."""
        os.environ.update(_TUNE_SETTINGS)
        self._follower = follower
        self._state = locate(join(follower.run_uri, STATE))
        self._folder = Path(tempfile.mkdtemp(prefix="thornback-sweep-"))
        is_resumed = self._unpack()
        self._scheduler = open_scheduler(config, longest=longest)
        self._seats: dict[str, TrialRun] = {}
        self._controller = self._open(config, unit, is_resumed=is_resumed)
        self._saved_at = time.monotonic()

    @property
    def trials(self) -> list[Trial]:
        """As Tune knows them."""
        return list(self._controller.get_trials())

    def run(self, until: Callable[[], bool]) -> None:
        """Step until every trial has ended, or `until` says that the driver leaves. Blocks."""
        try:
            while not self._controller.is_finished() and not until():
                if self._follower.enough.no_more is not None:
                    self._controller.search_alg.set_finished()
                self._controller.step()
                if time.monotonic() - self._saved_at > _SAVE_S:
                    self.save()
            self.save()
        finally:
            self._controller._actor_manager.cleanup()
            shutil.rmtree(self._folder, ignore_errors=True)

    def save(self) -> None:
        """Write the state, as one object."""
        self._controller.save_to_dir()
        staging = Path(self._controller._storage.experiment_driver_staging_path)
        if isinstance(self._scheduler, AsyncHyperBandScheduler):
            self._scheduler.save(str(staging / _SCHEDULER))
        roots = (self._folder / _NAME, staging)  # a file that is in both is newer in the second
        files = {file.relative_to(root): file for root in roots for file in root.rglob("*") if file.is_file()}
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in sorted(files.items()):
                archive.write(file, name)
        self._state.write_bytes(content.getvalue())
        self._saved_at = time.monotonic()

    def _unpack(self) -> bool:
        if not self._state.exists():
            return False
        with zipfile.ZipFile(io.BytesIO(self._state.read_bytes())) as archive:
            archive.extractall(self._folder / _NAME)
        return True

    def _open(self, config: SweepConfig, unit: str, *, is_resumed: bool) -> Any:
        search = open_search(config)
        space = param_space(config)
        samples = config.planned_trials // (config.grid_points if config.search == "grid" else 1)
        experiment = Experiment(_NAME, TrialRun, config=space, num_samples=samples, storage_path=str(self._folder))
        search.set_search_properties(config.metric, config.mode, space, **experiment.public_spec)
        resume: Any = ResumeConfig()  # what is unfinished goes on, and nothing is tried again
        controller: Any = TuneController(
            search_alg=search,
            scheduler=self._scheduler,
            stopper=self._follower.enough,
            resume_config=resume if is_resumed else None,
            callbacks=[_EndsJobs(self, config, unit)],
            metric=config.metric,
            storage=StorageContext(storage_path=str(self._folder), experiment_dir_name=_NAME),
        )
        if is_resumed:
            self._go_on(controller)
        else:
            search.add_configurations([experiment])
        controller._actor_manager = Seats(self._sit, self.save)
        controller.update_max_pending_trials(config.concurrency)
        controller.setup_experiments([experiment], search.total_samples)
        return controller

    def _go_on(self, controller: Any) -> None:
        if not controller.resumed:  # Tune begins anew where it cannot read its state
            words = f"the state of the sweep in {STATE} cannot be read; start the sweep again"
            raise TrainingFailed(words, reason=FailureReason.EXCEPTION.value, retryable=False)
        kept = self._folder / _NAME / _SCHEDULER
        if kept.exists():
            self._scheduler.restore(str(kept))
        if isinstance(self._scheduler, PopulationBasedTraining):
            self._follower.skip_told = True
            for trial, state in self._scheduler._trial_state.items():
                state.last_perturbation_time = trial.last_result.get(REACHED, 0)

    def _sit(self, **options: Any) -> TrialRun:
        seat = TrialRun(self._follower, **options)
        self._seats[seat.trial_id] = seat
        return seat

    def end_job(self, trial: Trial, why: str) -> None:
        """Have the job of a trial end that Tune has ended."""
        seat = self._seats.get(trial.trial_id)
        if seat is not None:
            seat.end_early(why)

    @property
    def scheduler(self) -> Any:
        """Who ends trials early."""
        return self._scheduler


class _EndsJobs(Callback):
    """Hears of every trial that Tune ends; one that came to its own end has a job that has ended too."""

    def __init__(self, tuning: Tuning, config: SweepConfig, unit: str) -> None:
        self._tuning, self._config, self._unit = tuning, config, unit

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """See Callback."""
        result = trial.last_result
        words = why_stopped(
            self._tuning.scheduler,
            trial.trial_id,
            result,
            metric=self._config.metric,
            mode=self._config.mode,
            unit=self._unit,
        )
        self._tuning.end_job(trial, words)
