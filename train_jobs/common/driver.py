"""The driver of a run, whatever it trains: launch, retry what was lost, and say how it ended. Takes no GPU."""

from __future__ import annotations

import json
import traceback
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import orjson
import ray

from thornback import torch_shim
from thornback.artifacts.files import join, locate
from thornback.errors import ThornbackError, TrainingFailed
from thornback.jobs.events import Attempt
from thornback.jobs.status import FailureReason
from thornback.metrics.reporter import Reporter
from train_jobs.common.failures import Failure, classify
from train_jobs.common.launch import Devices, Launcher, Plan
from train_jobs.common.recovery import repair

DELIVERY_S = 60.0  # the metrics actor may be restarting while the end is told
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNHEARD = 0, 1, 2, 3

RESULT = "result.json"
"""Written last into the run's folder: where it is, the run has succeeded."""

P = TypeVar("P", bound=Plan)


class RunDriver(ABC, Generic[P]):
    """One run, from its plan to its end. A kind of training says how to prepare and what to publish."""

    def __init__(
        self,
        *,
        run_uri: str,
        reporter: Reporter,
        attempt: Attempt,
        max_retries: int,
        is_ray_own: bool,
        is_queued: bool = False,
    ) -> None:
        """Everything that no plan is needed for.

        Args:
            run_uri: the run's folder.
            reporter: of the driver.
            attempt: which submission this is.
            max_retries: restarts after a loss, over all attempts.
            is_ray_own: Ray was started by this process: what it has now is all there will be.
            is_queued: a dispatcher has started this run, and can start it again.
        """
        self.run_uri = run_uri
        self.reporter = reporter
        self.attempt = attempt
        self.runs_lost = attempt.number - 1  # submissions before this one; who knows that some only moved says so
        self.max_retries = max_retries
        self.is_ray_own = is_ray_own
        self.is_queued = is_queued

    @abstractmethod
    def prepare(self) -> P:
        """Everything that can be wrong without a GPU is found here."""

    @abstractmethod
    def with_attempt(self, plan: P, attempt: Attempt, resume_from: str | None) -> P:
        """The same plan for another attempt."""

    @abstractmethod
    def launcher(self) -> Launcher:
        """What starts the workers."""

    @abstractmethod
    def publish(self, plan: P, outcome: Any) -> dict[str, Any]:
        """Write the results; returns JSON-ready `artifacts`, `facts` and `summary`."""

    def mend(self, plan: P, error: BaseException) -> P | None:
        """A plan that may work where this one failed; None where there is none."""
        return None

    def main(self) -> int:
        """Run and tell the end. The exit code says whether the end was told, not whether it is good news."""
        torch_shim.install()
        launcher = self.launcher()
        with launcher.handling_signals():
            try:
                self.reporter.started()
                code = self.run(launcher)
            except Exception as error:  # noqa: BLE001 - whatever it was, the job must be told the true reason
                if not isinstance(error, ThornbackError):
                    traceback.print_exception(error)
                failure = classify(error)
                self.reporter.failed(failure.reason, failure.message)
                code = EXIT_FAILED
        return code if self.reporter.close(timeout_s=DELIVERY_S) else EXIT_UNHEARD

    def run(self, launcher: Launcher) -> int:
        """All stages. Raises what ends the run as failed."""
        result = locate(join(self.run_uri, RESULT))
        if result.exists():  # an earlier attempt had finished and was not heard
            self.tell_success(json.loads(result.read_bytes()))
            return EXIT_OK
        plan = self.prepare()
        self.refuse_impossible(plan.config, on_gpu=plan.on_gpu)
        outcome = self.train(plan, launcher)
        if outcome is None or not outcome.is_finished:
            return EXIT_OK if launcher.signal is None else 128 + launcher.signal
        self.reporter.stage("exporting")
        published = orjson.dumps(self.publish(plan, outcome))
        result.write_bytes(published)
        self.tell_success(json.loads(published))
        return EXIT_OK

    def train(self, plan: P, launcher: Launcher) -> Any:
        """Fit, and fit again after what is worth it; the checkpoints in the folder are taken up by themselves."""
        attempt, moves = self.attempt, 0
        resume_from: str | None = getattr(plan, "resume_from", None)
        while True:
            self.reporter.stage("starting workers")
            try:
                outcome = launcher.fit(self.with_attempt(plan, attempt, repair(self.run_uri) or resume_from))
                if outcome.is_finished or launcher.moved is None or launcher.signal is not None:
                    return outcome
                why, moves = Failure(FailureReason.MOVED, launcher.moved), moves + 1
            except Exception as error:
                why = classify(error)
                if launcher.signal is not None or self.reporter.should_stop:
                    return None
                mended = self.mend(plan, error)
                if mended is None and not self.may_retry(why, attempt, moves=moves):
                    raise
                plan = mended or plan
            if self.is_queued and not launcher.finds_room(plan):
                # The queue knows how to wait, tells why, and asks an autoscaler.
                self.reporter.retried(Attempt(attempt.number + 1), why.reason, why.message)
                return None
            attempt = Attempt(attempt.number, attempt.restart + 1)
            self.reporter.retried(attempt, why.reason, why.message)

    def may_retry(self, failure: Failure, attempt: Attempt, *, moves: int = 0) -> bool:
        """True for losses, as long as retries are left; `moves` of the restarts were none."""
        return failure.is_retryable and self.runs_lost + attempt.restart - moves < self.max_retries

    def refuse_impossible(self, config: Devices, *, on_gpu: bool) -> None:
        """On a Ray of our own, what is not there will not come. Elsewhere the dispatcher or an autoscaler decides."""
        workers = config.min_devices or config.devices
        wanted = {"CPU": float(workers * config.cpus_per_device), "GPU": float(workers) if on_gpu else 0.0}
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        for name, count in wanted.items():
            if self.is_ray_own and count > there.get(name, 0.0):
                raise TrainingFailed(
                    f"the run needs {count:g} {name}s for {workers} workers and this machine has "
                    f"{there.get(name, 0.0):g}; change devices, cpus_per_device or accelerator",
                    reason=FailureReason.IMPOSSIBLE_RESOURCES.value,
                    retryable=False,
                )

    def tell_success(self, published: dict[str, Any]) -> None:
        """Artifacts, figures, end."""
        for artifact in published["artifacts"]:
            self.reporter.artifact(**artifact)
        self.reporter.describe(**published["facts"])
        self.reporter.succeeded(published["summary"])
