"""The driver of one run: check, launch, retry what was lost, export, and say how it ended. Takes no GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from thornback.artifacts.files import locate
from thornback.artifacts.node_cache import NodeCache
from thornback.datasets import AudioDataset
from thornback.errors import InvalidInput
from thornback.jobs.events import Attempt
from thornback.jobs.spec import ConvNextSpec, JobSpec
from thornback.metrics.reporter import Reporter
from thornback.settings import Settings
from train_jobs.common.driver import RunDriver
from train_jobs.common.launch import Launcher, wants_gpu
from train_jobs.common.tracking import prepare_mlflow
from train_jobs.convnext.plan import RunFolder, RunPlan
from train_jobs.convnext.prepare import prepare_dataset
from train_jobs.convnext.weights import provide_weights


def make_driver(*, spec: JobSpec, run_uri: str, **options: Any) -> Driver:
    """See MakeDriver."""
    if not isinstance(spec, ConvNextSpec):
        raise InvalidInput.field("kind", f"this runs convnext and no {spec.kind}")
    return Driver(spec=spec, folder=RunFolder(uri=run_uri), **options)


def _train(job: dict[str, Any]) -> Any:
    """Runs in each worker; torch is loaded there and not in the driver."""
    from train_jobs.convnext.ray_worker import run_worker

    return run_worker(job)


class Driver(RunDriver[RunPlan]):
    """One run, from its specification to its end."""

    def __init__(
        self,
        *,
        spec: ConvNextSpec,
        settings: Settings,
        folder: RunFolder,
        reporter: Reporter,
        job_id: str | None = None,
        attempt: Attempt | None = None,
        resume_from: str | None = None,
        is_ray_own: bool = False,
        model_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            run_uri=folder.uri,
            reporter=reporter,
            attempt=attempt or Attempt(),
            max_retries=spec.max_retries,
            is_ray_own=is_ray_own,
            is_queued=job_id is not None,
        )
        self.spec, self.settings, self.folder, self.job_id = spec, settings, folder, job_id
        self.resume_from = resume_from
        self.model_kwargs = model_kwargs
        self._dataset: AudioDataset | None = None

    def launcher(self) -> Launcher:
        """See RunDriver."""
        return Launcher(_train, patience_s=self.settings.elastic_patience_s)

    def with_attempt(self, plan: RunPlan, attempt: Attempt, resume_from: str | None) -> RunPlan:
        """See RunDriver."""
        return replace(plan, attempt=attempt, resume_from=resume_from)

    def prepare(self) -> RunPlan:
        """See RunDriver."""
        config = self.spec.config
        self.reporter.stage("checking data")
        dataset = prepare_dataset(config, self.folder, self.settings)
        self._dataset = dataset
        self.describe(dataset)
        pretrained = provide_weights(config, self.folder)
        mlflow = prepare_mlflow(
            self.settings.mlflow_tracking_uri,
            experiment=config.mlflow_experiment,
            parameters=config.model_dump(mode="json"),
            note_uri=self.folder.artifact("mlflow_run_id"),
            name=self.spec.job_name,
        )
        if mlflow is not None:
            self.reporter.describe(mlflow_run_id=mlflow.run_id)
        return RunPlan(
            job_id=self.job_id,
            config=config,
            folder=self.folder,
            attempt=self.attempt,
            namespace=self.settings.namespace,
            on_gpu=wants_gpu(config),
            pretrained_uri=pretrained,
            resume_from=self.resume_from,
            mlflow=mlflow,
            near=NodeCache.of(self.settings),
            model_kwargs=self.model_kwargs or {},
        )

    def describe(self, dataset: AudioDataset) -> None:
        """Tell what was found."""
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

    def publish(self, plan: RunPlan, outcome: Any) -> dict[str, Any]:
        """See RunDriver."""
        from train_jobs.convnext.publish import publish  # torch and ONNX; nothing before needed them here

        assert self._dataset is not None  # noqa: S101 - a plan was prepared
        published = publish(plan, self._dataset, outcome)
        if plan.pretrained_uri is not None:
            locate(plan.pretrained_uri).delete_file()  # only its workers needed the copy
        return published
