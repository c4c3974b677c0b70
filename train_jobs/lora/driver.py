"""The driver of one run: look at base model and data, launch, retry what was lost, publish. Takes no GPU."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thornback.artifacts.files import join, locate
from thornback.artifacts.node_cache import NodeCache
from thornback.datasets.captioned import (
    Files,
    ImageIndex,
    captions_of_set,
    filled,
    job_of,
    look,
    open_images,
    refuse_broken,
)
from thornback.errors import DataError, InvalidInput, NotFound, TrainingFailed
from thornback.jobs.events import Attempt
from thornback.jobs.spec import JobSpec, LoraSpec
from thornback.jobs.state import JobState
from thornback.metrics.actor import connect
from thornback.metrics.reporter import Reporter
from thornback.settings import Settings
from train_jobs.common.driver import RunDriver
from train_jobs.common.failures import causes
from train_jobs.common.launch import Launcher, wants_gpu
from train_jobs.common.tracking import prepare_mlflow
from train_jobs.lora.plan import RunPlan

if TYPE_CHECKING:
    from train_jobs.lora.components import BaseModel


def make_driver(*, spec: JobSpec, settings: Settings, job_id: str | None = None, **options: Any) -> LoraDriver:
    """See MakeDriver."""
    if not isinstance(spec, LoraSpec):
        raise InvalidInput.field("kind", f"this runs lora on our own GPUs and no {spec.kind} on {spec.backend}")

    def read_job(other: str) -> JobState:
        return asyncio.run(connect(settings).job(other))

    has_platform = job_id is not None
    return LoraDriver(
        spec=spec, settings=settings, job_id=job_id, read_job=read_job if has_platform else None, **options
    )


def _train(job: dict[str, Any]) -> Any:
    """Runs in each worker; torch is loaded there and not in the driver."""
    from train_jobs.lora.ray_worker import run_worker

    return run_worker(job)


@contextmanager
def naming(field: str, source: str) -> Iterator[None]:
    """Say of an error in data where the data was named. Raises DataError."""
    try:
        yield
    except DataError as error:
        if "errors" in error.details:
            raise
        raise DataError.field(field, f"{source}: {error.message}") from error


class LoraDriver(RunDriver[RunPlan]):
    """One run, from its specification to its end."""

    def __init__(
        self,
        *,
        spec: LoraSpec,
        settings: Settings,
        run_uri: str,
        reporter: Reporter,
        job_id: str | None = None,
        attempt: Attempt | None = None,
        resume_from: str | None = None,
        is_ray_own: bool = False,
        read_job: Callable[[str], JobState] | None = None,
    ) -> None:
        super().__init__(
            run_uri=run_uri,
            reporter=reporter,
            attempt=attempt or Attempt(),
            max_retries=spec.max_retries,
            is_ray_own=is_ray_own,
            is_queued=job_id is not None,
        )
        self.spec, self.settings, self.job_id, self.resume_from = spec, settings, job_id, resume_from
        self.read_job = read_job

    def launcher(self) -> Launcher:
        """See RunDriver."""
        return Launcher(_train, patience_s=self.settings.elastic_patience_s)

    def with_attempt(self, plan: RunPlan, attempt: Attempt, resume_from: str | None) -> RunPlan:
        """See RunDriver."""
        return replace(plan, attempt=attempt, resume_from=resume_from)

    def prepare(self) -> RunPlan:
        """See RunDriver."""
        config, name = self.spec.config, self.spec.job_name
        self.reporter.stage("looking for the base model")
        base = self.base_model()
        self.reporter.describe(
            base_model=base.source, base_revision=base.revision, family=base.family, base_licence=base.licence
        )
        if config.train_text_encoder and not base.model_family.trainable_text_encoders:
            problem = f"{base.family} models are trained with their text encoders as they are; leave it off"
            raise InvalidInput.field("config.train_text_encoder", problem)
        mlflow = prepare_mlflow(
            self.settings.mlflow_tracking_uri,
            experiment=None,
            parameters=config.model_dump(mode="json"),
            note_uri=join(self.run_uri, "mlflow_run_id"),
            name=name,
        )
        if mlflow is not None:
            self.reporter.describe(mlflow_run_id=mlflow.run_id)
        plan = RunPlan(
            job_id=self.job_id,
            job_name=name,
            config=config,
            base=base,
            run_uri=self.run_uri,
            cache_uri=self.settings.cache_uri("lora"),
            storage=self.settings.storage,
            attempt=self.attempt,
            namespace=self.settings.namespace,
            on_gpu=wants_gpu(config),
            resume_from=self.resume_from,
            mlflow=mlflow,
            near=NodeCache.of(self.settings),
        )
        self.check_data(plan)
        return plan

    def base_model(self) -> BaseModel:
        """What is trained on; a later attempt takes the same commit, whatever is the newest by then."""
        from train_jobs.lora.components import BaseModel, find_base_model  # torch and diffusers: seconds of imports

        config, note = self.spec.config, locate(join(self.run_uri, "base_model.json"))
        if note.exists():
            return BaseModel(**json.loads(note.read_bytes()))
        base = find_base_model(config.base_model, revision=config.revision, family=config.family)
        note.write_bytes(json.dumps(asdict(base)).encode())
        return base

    def check_data(self, plan: RunPlan) -> None:
        """Read every image once and write down what there is; a later attempt reads that instead."""
        from train_jobs.lora.shots import make_examples

        config = plan.config
        self.reporter.stage("checking data")
        index = self.index(plan.index, config.dataset, field="config.dataset")
        extra = None
        if config.regularisation is not None:
            extra = self.index(plan.regularisation_index, config.regularisation, field="config.regularisation")
        _, report = make_examples(config, index, extra, multiple=plan.base.model_family.pixel_multiple)
        for line in report.lines():
            self.reporter.log(f"   {line}")
        self.reporter.describe(
            dataset_size=len(index.images),
            train_samples=report.images,
            val_samples=report.held_out,
            images_dropped=dict(report.dropped),
            images_too_small=dict(report.too_small),
            buckets=dict(report.buckets),
            dataset_sha256=index.sha256,
            sample_prompts=filled(config.sample_prompts, config.trigger_word),
        )

    def index(self, uri: str, source: str, *, field: str) -> ImageIndex:
        """The images of a source, as the first attempt found them. Raises DataError."""
        place = locate(uri)
        if place.exists():
            return ImageIndex.from_json(place.read_bytes())
        config = self.spec.config
        is_subject = field == "config.dataset"
        with tempfile.TemporaryDirectory() as folder:
            with naming(field, source):
                captions = self.captions(source)
                files = self.open(source, Path(folder) / "images")
            masks = None
            if is_subject and config.masks is not None:
                with naming("config.masks", config.masks):
                    masks = self.open(config.masks, Path(folder) / "masks")
            with naming(field, source):
                index = look(
                    files,
                    source=self.address(source),
                    # What calls the subject must not come to mean the others of its class.
                    trigger_word=config.trigger_word if is_subject else None,
                    default_caption=config.default_caption,
                    captions=captions,
                    masks=masks,
                    masks_source=None if masks is None or config.masks is None else self.address(config.masks),
                )
        refuse_broken(index, most=config.max_broken_share, setting="config.max_broken_share", field=field)
        place.write_bytes(index.as_json())
        return index

    def open(self, source: str, into: Path) -> Files:
        """The files of a source. Raises DataError."""
        max_bytes = self.settings.dataset_max_bytes
        return open_images(self.address(source), storage=self.settings.storage, into=into, max_bytes=max_bytes)

    def captions(self, source: str) -> dict[str, str]:
        """The prompts of an image set; nothing for any other source. Raises DataError."""
        job_id = job_of(source)
        if job_id is None:
            return {}
        if self.read_job is None:
            raise DataError("image sets are known to the platform only; give the folder of the pictures")
        try:
            return captions_of_set(self.read_job(job_id))
        except NotFound as error:
            raise DataError(error.message) from error

    def address(self, source: str) -> str:
        """Where a source lies, for workers that start in other folders."""
        if "://" in source or source.startswith(("upload:", "job:", "stored:")):
            return source
        return str(Path(source).expanduser().absolute())

    def mend(self, plan: RunPlan, error: BaseException) -> RunPlan | None:
        """Out of memory with checkpointing left to us: once more with it on."""
        for cause in causes(error):
            if isinstance(cause, TrainingFailed) and cause.details.get("retry_with_checkpointing"):
                self.reporter.log("out of memory: going on with gradient checkpointing")
                return replace(plan, config=plan.config.model_copy(update={"gradient_checkpointing": True}))
        return None

    def publish(self, plan: RunPlan, outcome: Any) -> dict[str, Any]:
        """See RunDriver."""
        from train_jobs.lora.publish import publish

        return publish(plan, outcome)
