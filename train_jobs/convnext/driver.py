"""The driver of one run: check, launch, retry what was lost, export, and say how it ended. Takes no GPU."""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import ray

from thornback import torch_shim
from thornback.artifacts.files import join, locate
from thornback.datasets import AudioDataset
from thornback.errors import InvalidInput, ThornbackError, TrainingFailed
from thornback.jobs.events import Attempt
from thornback.jobs.spec import ConvNextSpec, JobSpec, parse_spec
from thornback.jobs.status import FailureReason
from thornback.metrics.actor import connect
from thornback.metrics.reporter import NullReporter, Reporter, open_reporter
from thornback.settings import Settings, load_settings
from train_jobs.common.console import ConsoleReporter, say
from train_jobs.common.failures import classify
from train_jobs.common.launch import Launcher, wants_gpu
from train_jobs.common.recovery import repair
from train_jobs.convnext.plan import RunFolder, RunPlan
from train_jobs.convnext.prepare import prepare_dataset, prepare_mlflow
from train_jobs.convnext.weights import provide_weights

DELIVERY_S = 60.0  # the metrics actor may be restarting while the end is told
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNHEARD = 0, 1, 2, 3


def run_job(job_id: str, *, attempt: int) -> int:
    """Run a job of the platform. Returns the exit code."""
    settings = load_settings()
    ray.init(namespace=settings.namespace)
    state = asyncio.run(connect(settings).job(job_id))
    if state.final is not None or state.cancel_requested:
        return EXIT_OK
    number = Attempt(attempt)
    reporter = open_reporter(job_id, attempt=number, rank=-1, namespace=settings.namespace)
    driver = Driver(
        spec=_convnext(parse_spec(state.spec)),
        settings=settings,
        folder=RunFolder(uri=settings.run_uri(job_id)),
        reporter=ConsoleReporter(reporter, is_captured=False),
        job_id=job_id,
        attempt=number,
        resume_from=state.resume_from,
    )
    return driver.main()


def run_alone(config_file: str, *, output: str | None) -> int:
    """Run a configuration without a platform. Returns the exit code."""
    try:
        settings = load_settings()
        spec = read_spec(Path(config_file))
    except InvalidInput as error:
        say(f"!! {error}")
        return EXIT_USAGE
    uri = output or join(settings.storage, spec.job_name)
    if "://" not in uri:
        uri = str(Path(uri).expanduser().absolute())
    # Only a Ray that was named: one that merely runs on this machine may belong to somebody else.
    address = settings.ray_address or os.environ.get("RAY_ADDRESS")
    ray.init(address=address or "local", namespace=settings.namespace)
    driver = Driver(
        spec=spec,
        settings=settings,
        folder=RunFolder(uri=uri),
        reporter=ConsoleReporter(NullReporter(), is_captured=False),
        is_ray_own=address is None,
    )
    return driver.main()


def read_spec(path: Path) -> ConvNextSpec:
    """A whole job, or only its configuration; then the job is named after the file.

    Raises:
        InvalidInput: not there, no JSON, or a field is wrong.
    """
    try:
        body = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput.field("config", f"{path} cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise InvalidInput.field("config", f"{path} holds no JSON object")
    return _convnext(parse_spec(body if "job_name" in body else {"job_name": path.stem, "config": body}))


def _convnext(spec: JobSpec) -> ConvNextSpec:
    if not isinstance(spec, ConvNextSpec):
        raise InvalidInput.field("kind", f"this runs convnext and no {spec.kind}")
    return spec


def _train(job: dict[str, Any]) -> Any:
    """Runs in each worker; torch is loaded there and not in the driver."""
    from train_jobs.convnext.ray_worker import run_worker

    return run_worker(job)


@dataclass(kw_only=True)
class Driver:
    """One run, from its specification to its end."""

    spec: ConvNextSpec
    settings: Settings
    folder: RunFolder
    reporter: Reporter
    job_id: str | None = None
    attempt: Attempt = field(default_factory=Attempt)
    resume_from: str | None = None
    is_ray_own: bool = False  # started by this process: what it has now is all there will be
    model_kwargs: dict[str, Any] | None = None

    def main(self) -> int:
        """Run and tell the end. The exit code says whether the end was told, not whether it is good news."""
        torch_shim.install()
        launcher = Launcher(_train)
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
        result = locate(self.folder.result)
        if result.exists():  # an earlier attempt had finished and was not heard
            self.tell_success(json.loads(result.read_bytes()))
            return EXIT_OK
        plan, dataset = self.prepare()
        outcome = self.train(plan, launcher)
        if outcome is None or not outcome.is_finished:
            return EXIT_OK if launcher.signal is None else 128 + launcher.signal
        self.reporter.stage("exporting")
        from train_jobs.convnext.publish import publish  # torch and ONNX; nothing before needed them here

        published = publish(plan, dataset, outcome)
        result.write_bytes(orjson.dumps(published))
        if plan.pretrained_uri is not None:
            locate(plan.pretrained_uri).delete_file()  # only its workers needed the copy
        self.tell_success(json.loads(orjson.dumps(published)))
        return EXIT_OK

    def prepare(self) -> tuple[RunPlan, AudioDataset]:
        """Everything that can be wrong without a GPU is found here."""
        config = self.spec.config
        self.reporter.stage("checking data")
        dataset = prepare_dataset(config, self.folder, self.settings.dataset)
        report = dataset.report
        for line in report.lines():
            self.reporter.log(f"   {line}")
        self.reporter.describe(
            dataset_size=report.kept,
            train_samples=report.train,
            val_samples=report.val,
            test_samples=report.test,
            class_names=list(dataset.classes),
            clips_found=report.found,
            clips_dropped=dict(report.dropped),
            dataset=report.as_dict(),
        )
        pretrained = provide_weights(config, self.folder)
        mlflow = prepare_mlflow(self.settings, config, self.folder, self.spec.job_name)
        if mlflow is not None:
            self.reporter.describe(mlflow_run_id=mlflow.run_id)
        on_gpu = wants_gpu(config)
        self.refuse_impossible(on_gpu)
        plan = RunPlan(
            job_id=self.job_id,
            config=config,
            folder=self.folder,
            attempt=self.attempt,
            namespace=self.settings.namespace,
            on_gpu=on_gpu,
            pretrained_uri=pretrained,
            resume_from=self.resume_from,
            mlflow=mlflow,
            model_kwargs=self.model_kwargs or {},
        )
        return plan, dataset

    def train(self, plan: RunPlan, launcher: Launcher) -> Any:
        """Fit, and fit again after what is worth it; the checkpoints in the folder are taken up by themselves."""
        while True:
            self.reporter.stage("starting workers")
            start = repair(plan.run_uri) or plan.resume_from
            try:
                return launcher.fit(replace(plan, resume_from=start))
            except Exception as error:
                failure = classify(error)
                if launcher.signal is not None or self.reporter.should_stop:
                    return None
                used = plan.attempt.number - 1 + plan.attempt.restart
                if not failure.is_retryable or used >= self.spec.max_retries:
                    raise
            attempt = Attempt(plan.attempt.number, plan.attempt.restart + 1)
            plan = replace(plan, attempt=attempt)
            self.reporter.retried(attempt, failure.reason, failure.message)

    def refuse_impossible(self, on_gpu: bool) -> None:
        """On a Ray of our own, what is not there will not come. Elsewhere the dispatcher or an autoscaler decides."""
        config = self.spec.config
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
