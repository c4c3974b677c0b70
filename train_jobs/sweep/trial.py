"""One trial for Ray Tune: makes its job, tells what the job measures, and takes over another's checkpoint."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any, TypeVar

from ray.tune import Trainable

from thornback.artifacts.files import join, locate
from thornback.errors import InvalidInput, JobNotFound, QuotaExceeded, SpendExceeded, TrainingFailed
from thornback.jobs.space import Space
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.jobs.trials import unit_of
from thornback.metrics.port import Point
from train_jobs.common.snapshots import STATE, is_whole
from train_jobs.sweep.children import LOOK_S, Best, Children, Source, best_told
from train_jobs.sweep.ending import Enough
from train_jobs.sweep.searchers import REACHED, parameters_of
from train_jobs.sweep.slots import Slots

T = TypeVar("T")

_TELL_S = 2.0  # what a trial has come to is written down at most so often
_WAIT_FOR_ROOM_S = 5.0  # where a quota of jobs is full
_CHECKPOINT_S = 30.0  # a checkpoint is uploaded a while after its epoch was told


class Follower:
    """What all trials of a sweep share."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        children: Children,
        enough: Enough,
        slots: Slots,
        space: Space,
        run_uri: str,
    ) -> None:
        """`loop`: that the recorder is asked in."""
        self._loop = loop
        self.children, self.enough, self.space, self.run_uri = children, enough, space, run_uri
        self.slots = slots
        self.leaving = threading.Event()  # the driver goes, the trials' jobs stay
        self.percent: dict[str, float] = {}  # of the trials' jobs, by trial
        self.skip_told = False  # PBT: what was told before a restart has been decided on

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the driver's loop, from a trial's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class TrialRun(Trainable):
    """Lives in a thread of the driver; `interrupt` reaches it from others."""

    def __init__(self, follower: Follower, **options: Any) -> None:
        self._follower = follower
        self._interrupted = threading.Event()
        self._source: Source | None = None
        self._job_id: str | None = None
        self._cursor = 0
        self._points: deque[Point] = deque()
        self.best = Best()
        self._whole = 0
        self._is_over = False  # by itself
        self._asked = False  # to end
        self._told = (0.0, 0)
        super().__init__(**options)

    def setup(self, config: dict[str, Any]) -> None:
        """See Trainable."""
        self._parameters = parameters_of(config, self._follower.space)

    def interrupt(self) -> None:
        """See Seat."""
        self._interrupted.set()

    def step(self) -> dict[str, Any]:
        """The next value of the metric, or the end with the best one.

        Raises:
            TrainingFailed: the job failed, measured nothing, or could not be made.
        """
        children = self._follower.children
        if self._job_id is None:
            self._job_id = self._created()
        while not self._has_to_go():
            if self._points:
                point = self._points.popleft()
                self._see(point)
                if not self._whole or point.at < self._whole:
                    return {children.metric: point.value, REACHED: point.at}
                continue  # its last one is told with its end: there is nothing to decide any more
            job = self._look()
            self._whole = _whole(job)
            self._follower.percent[self.trial_id] = job.progress_percent
            if children.metric in job.latest:
                self._read(job)
            if not self._points and job.status.is_final:
                return self._end(job)
            if not self._points:
                self._interrupted.wait(LOOK_S)
        return {"done": True}  # nobody hears it

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """A copy of the job's newest checkpoint, which the job itself will soon replace; PBT asks for it."""
        return {
            "trial": self.trial_id,
            "number": self._follower.children.record(self.trial_id).number,
            "source": None if self._source is None else asdict(self._source),
            "reached": self.best.reached or 0,
            "value": self.best.last,
            "uri": self._copied(),
        }

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Go on with the own job, or with a new one from another trial's checkpoint."""
        assert checkpoint is not None  # noqa: S101 - what save_checkpoint returned
        if checkpoint["trial"] == self.trial_id:
            self._source = None if checkpoint["source"] is None else Source(**checkpoint["source"])
        elif checkpoint["uri"] is not None:
            self._source = Source(**{name: checkpoint[name] for name in ("number", "reached", "value", "uri")})
        if self._source is not None and self._source.value is not None:
            self.best.see(self._source.reached, self._source.value, self._follower.children.mode)

    def end_early(self, why: str) -> None:
        """Have the job end, if it has not."""
        if self._job_id is None or self._is_over:
            return
        job = self._look()
        self._read(job)  # it may have gone on since, or even come to its own end
        for point in self._points:
            self.best.see(point.at, point.value, self._follower.children.mode)
        if job.status.is_final:
            self._follower.slots.free(job.id)
            self._tell(time.monotonic())
            self._follower.wait(self._follower.children.tell_end(self.trial_id, job=job))
            return
        self._asked = True
        self._tell(time.monotonic(), ended=why, ask=not job.cancel_requested)
        self._follower.wait(self._follower.children.tell_end(self.trial_id, job=job, why=why))

    def cleanup(self) -> None:
        """See Trainable. Its place is free once its job has ended; a trial that PBT pauses keeps both."""
        while self._asked and self._job_id is not None and not self._follower.leaving.is_set():
            if self._is_gone(self._job_id):
                return self._follower.slots.free(self._job_id)
            time.sleep(LOOK_S)

    def _created(self) -> str:
        follower = self._follower
        job_id = follower.children.job_id(self.trial_id, self._parameters, self._source)
        self._leave_earlier(job_id)
        if not follower.slots.take(job_id, self._has_to_go):
            raise _not_begun("the sweep has ended")
        try:
            self._create()
        except TrainingFailed:
            follower.slots.free(job_id)
            raise
        if follower.skip_told:
            self._skip(self._look_at(job_id))
        return job_id

    def _create(self) -> None:
        follower = self._follower
        while True:
            try:
                follower.wait(follower.children.create(self.trial_id, self._parameters, self._source))
            except SpendExceeded as error:
                follower.enough.refuse_more(error.message)
                raise _not_begun(error.message) from None
            except QuotaExceeded as error:
                if self._interrupted.wait(_WAIT_FOR_ROOM_S) or self._has_to_go():
                    raise _not_begun(error.message) from None
            except InvalidInput as error:
                words = f"the values do not go together: {error.message}"
                follower.wait(follower.children.tell_end(self.trial_id, job=None, why=words))
                raise _not_begun(words) from None
            else:
                return

    def _has_to_go(self) -> bool:
        return self._interrupted.is_set() or self._follower.leaving.is_set()

    def _leave_earlier(self, job_id: str) -> None:
        """End what the trial did before it took over another's checkpoint."""
        source, children = self._source, self._follower.children
        if source is None:
            return
        for earlier in children.earlier_jobs(self.trial_id, job_id):
            unit = children.unit(self._look_at(earlier).spec)
            why = f"replaced by pbt: the trial goes on from trial {source.number} at {unit} {source.reached}"
            self._follower.wait(children.end(earlier, why))
            while not self._is_gone(earlier) and not self._has_to_go():
                time.sleep(LOOK_S)
            self._follower.slots.free(earlier)

    def _is_gone(self, job_id: str) -> bool:
        try:
            return self._look_at(job_id).status.is_final
        except TrainingFailed:
            return True  # deleted

    def _skip(self, job: JobState) -> None:
        best = best_told(job)
        if best.reached is not None:
            self.best = best
            self._read(job)
            self._points = deque(point for point in self._points if point.at > (best.reached or 0))

    def _look(self) -> JobState:
        return self._look_at(str(self._job_id))

    def _look_at(self, job_id: str) -> JobState:
        try:
            return self._follower.wait(self._follower.children.look(job_id))
        except JobNotFound:
            raise _failure(f"its job {job_id} was deleted", FailureReason.PART_CANCELLED) from None

    def _read(self, job: JobState) -> None:
        curve = self._follower.wait(self._follower.children.curve(job, self._cursor))
        self._cursor = curve.cursor
        self._points.extend(curve.points)

    def _see(self, point: Point) -> None:
        self.best.see(point.at, point.value, self._follower.children.mode)
        now = time.monotonic()
        if now - self._told[0] >= _TELL_S:
            self._tell(now)

    def _tell(self, now: float, *, ended: str | None = None, ask: bool = False) -> None:
        self._told = (now, self._told[1] + 1)
        children = self._follower.children
        job_id, seq = str(self._job_id), self._told[1]
        self._follower.wait(children.tell(job_id, self.best, seq=seq, ended=ended, ask=ask))

    def _end(self, job: JobState) -> dict[str, Any]:
        """A trial's result is its best value, as that is what its job keeps."""
        follower, metric = self._follower, self._follower.children.metric
        follower.percent[self.trial_id] = 100.0
        self._is_over = True
        follower.slots.free(job.id)
        self._tell(time.monotonic(), ended=job.ended_early)
        if job.status is JobStatus.FAILED:
            follower.wait(follower.children.tell_end(self.trial_id, job=job))
            raise _failure(job.error_message or "it failed", job.failure or FailureReason.EXCEPTION)
        if self.best.value is None:
            words = job.ended_early or f"it ended and measured no {metric}"
            follower.wait(follower.children.tell_end(self.trial_id, job=job, why=words))
            raise _failure(words, FailureReason.EXCEPTION)
        follower.wait(follower.children.tell_end(self.trial_id, job=job))
        return {metric: self.best.value, REACHED: self.best.reached, "done": True}

    def _copied(self) -> str | None:
        """None where the job has no whole checkpoint in time, or is at its end; nobody can take it over then."""
        if self._whole and (self.best.reached or 0) >= self._whole:
            return None
        give_up = time.monotonic() + _CHECKPOINT_S
        wanted = self.best.reached or 0
        place = join(self._follower.run_uri, "checkpoints", f"{self.trial_id}-{wanted}")
        while time.monotonic() < give_up and not self._follower.leaving.is_set():
            job = self._look()
            found = job.artifact_uri("checkpoint")
            if found is not None and _copy(found, place):
                return place
            time.sleep(LOOK_S)
        return None


def _copy(uri: str, place: str) -> bool:
    """False where it is not whole, or was replaced meanwhile."""
    source, copy = locate(uri), locate(place)
    if is_whole(copy):
        return True
    try:
        if not is_whole(source):
            return False
        entries = sorted(source.files(), key=lambda entry: entry.path == STATE)
        for entry in entries:
            (source / entry.path).copy_to(copy / entry.path)
    except (OSError, LookupError):
        return False
    return is_whole(copy)


def _whole(job: JobState) -> int:
    """Epochs or steps of all of a job, as its rows count; 0 where it does not say."""
    if unit_of(job.kind) == "epoch":
        return job.total_epochs
    steps = job.spec.get("config", {}).get("steps")
    return steps if isinstance(steps, int) else 0


def _not_begun(words: str) -> TrainingFailed:
    return _failure(words, FailureReason.SUBMIT_FAILED)


def _failure(words: str, reason: FailureReason) -> TrainingFailed:
    return TrainingFailed(words, reason=reason.value, retryable=False)
