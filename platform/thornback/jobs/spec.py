"""What to do: one pydantic model per kind of job and what runs it, told apart by `kind` and `backend`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from thornback.errors import InvalidInput
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.lora import RemoteLoraConfig
from thornback.jobs.own_lora import LoraConfig
from thornback.jobs.space import Parameters
from thornback.jobs.sweep import SweepConfig
from thornback.jobs.trials import TRAININGS, check_space, examples, trial_body
from thornback.jobs.video_lora import VideoLoraConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequest:
    """What a job needs before it can start: `workers` equal bundles, down to `min_workers` where elastic."""

    workers: int
    min_workers: int
    cpus: float  # per worker
    gpus: float  # per worker


class JobSpecBase(BaseModel):
    """The fields that every kind has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job_name: Annotated[str, Field(min_length=1, max_length=255, description="What people call the job.")]
    priority: Annotated[int, Field(ge=-100, le=100, description="Higher starts first.")] = 0
    max_retries: Annotated[
        int, Field(ge=0, le=100, description="Restarts from the last checkpoint after a lost worker, driver or node.")
    ] = 2
    tags: Annotated[dict[str, str], Field(max_length=32, description="Your own labels.")] = {}
    team: Annotated[
        str | None, Field(max_length=100, description="The team that shares it; left out: your team, where it is one.")
    ] = None


class ConvNextSpec(JobSpecBase):
    """Train a ConvNeXt classifier on audio with Ray Train."""

    kind: Literal["convnext"] = "convnext"
    backend: Literal["ray"] = "ray"
    config: TrainingConfig = TrainingConfig()

    @property
    def total_epochs(self) -> int:
        """How many epochs the run has unless it stops early."""
        return self.config.epochs

    def resources(self, *, cluster_has_gpu: bool) -> ResourceRequest:
        """What to reserve. `accelerator: auto` takes GPUs where the cluster has any."""
        return _on_cluster(self.config, cluster_has_gpu=cluster_has_gpu)


class LoraSpec(JobSpecBase):
    """Train a LoRA of an image model on this cluster's own GPUs."""

    kind: Literal["lora"]
    backend: Literal["ray"] = "ray"
    config: LoraConfig

    @property
    def total_epochs(self) -> int:
        """How many epochs the run has where it counts epochs; 0 where it counts steps."""
        return self.config.epochs or 0

    def resources(self, *, cluster_has_gpu: bool) -> ResourceRequest:
        """What to reserve. `accelerator: auto` takes GPUs where the cluster has any."""
        return _on_cluster(self.config, cluster_has_gpu=cluster_has_gpu)


def _on_cluster(config: TrainingConfig | LoraConfig, *, cluster_has_gpu: bool) -> ResourceRequest:
    on_gpu = config.accelerator == "gpu" or (config.accelerator == "auto" and cluster_has_gpu)
    return ResourceRequest(
        workers=config.devices,
        min_workers=config.min_devices or config.devices,
        cpus=float(config.cpus_per_device),
        gpus=1.0 if on_gpu else 0.0,
    )


Provider = Literal["replicate", "fal"]

# A slot of a provider, as the queue counts it.
_ONE_SLOT = ResourceRequest(workers=1, min_workers=1, cpus=1.0, gpus=0.0)


class RemoteSpecBase(JobSpecBase):
    """What runs at a provider: it takes one of the provider's slots and no resources of the cluster."""

    backend: Provider

    @property
    def total_epochs(self) -> int:
        """None are told."""
        return 0

    def resources(self, *, cluster_has_gpu: bool) -> ResourceRequest:
        """One slot."""
        return _ONE_SLOT


class RemoteLoraSpec(RemoteSpecBase):
    """Train a LoRA at a hosted trainer."""

    kind: Literal["lora"]
    config: RemoteLoraConfig


class ImageSetSpec(RemoteSpecBase):
    """Generate a set of images at a provider."""

    kind: Literal["image_set"]
    config: ImageSetConfig


# A driver that only waits and passes on; its stages take cores by themselves, and its training is a job of its own.
_NO_CORES = ResourceRequest(workers=1, min_workers=1, cpus=0.0, gpus=0.0)

# Stands for a dataset that does not exist yet.
_LATER = "dataset.zip"


class VideoLoraSpec(JobSpecBase):
    """Make a version of a LoRA from a video. `backend` trains; the stages before and after it run on this cluster."""

    kind: Literal["video_lora"]
    backend: Literal["fal", "replicate", "ray"] = "fal"
    config: VideoLoraConfig

    @property
    def total_epochs(self) -> int:
        """None are told."""
        return 0

    def resources(self, *, cluster_has_gpu: bool) -> ResourceRequest:
        """Nothing: it must not hold what its own training waits for."""
        return _NO_CORES

    def training(self, dataset: str) -> LoraSpec | RemoteLoraSpec:
        """The job that trains. Raises pydantic's ValidationError."""
        model = LoraSpec if self.backend == "ray" else RemoteLoraSpec
        body = {
            "kind": "lora",
            "backend": self.backend,
            "job_name": f"{self.job_name[:240]} (training)",
            "priority": self.priority,
            "max_retries": self.max_retries,
            "tags": self.tags,
            "config": self.config.training_config(self.backend, dataset),
        }
        return model.model_validate(body)

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        self.config.check_backend(self.backend)
        try:
            self.training(_LATER)
        except ValidationError as error:
            raise ValueError(f"this cannot be trained: {invalid_input(error).message}") from None
        return self


class SweepSpec(JobSpecBase):
    """Try a training with other values for some of its fields. `backend` runs the trials that name none themselves."""

    kind: Literal["sweep"]
    backend: Literal["ray", "replicate", "fal"] = "ray"
    config: SweepConfig

    @property
    def total_epochs(self) -> int:
        """None are told."""
        return 0

    def resources(self, *, cluster_has_gpu: bool) -> ResourceRequest:
        """Nothing: it must not hold what its own trials wait for."""
        return _NO_CORES

    def trial(self, number: int, parameters: Parameters) -> JobSpec:
        """The job of one trial. Raises pydantic's ValidationError, or InvalidInput for a backend that cannot run it."""
        body = trial_body(self.config, self._of_trials(number), parameters)
        return spec_model(body["kind"], body["backend"]).model_validate(body)

    def examples(self) -> Iterator[JobSpec]:
        """Trials as they may come, for checks beyond their models; such as go together by chance only are left out."""
        for parameters in examples(self.config.space):
            with suppress(ValidationError):
                yield self.trial(1, parameters)

    def _of_trials(self, number: int) -> dict[str, Any]:
        return {
            "kind": TRAININGS[0],
            "backend": self.backend,
            "job_name": f"{self.job_name[:240]} (trial {number})",
            "priority": self.priority,
            "max_retries": self.max_retries,
            "tags": self.tags,
        }

    @model_validator(mode="after")
    def _can_be_tried(self) -> Self:
        try:
            check_space(self.config, self._of_trials(1), spec_model)
        except InvalidInput as error:
            raise ValueError(f"config.trial.{error.message}") from None
        return self


# The union of all kinds and what runs them.
JobSpec = ConvNextSpec | LoraSpec | RemoteLoraSpec | ImageSetSpec | VideoLoraSpec | SweepSpec

DEFAULT_KIND = "convnext"

# By kind and backend. A body that leaves the backend out means the first of its kind.
SPECS: Mapping[tuple[str, str], type[JobSpec]] = {
    ("convnext", "ray"): ConvNextSpec,
    ("image_set", "replicate"): ImageSetSpec,
    ("image_set", "fal"): ImageSetSpec,
    ("lora", "ray"): LoraSpec,
    ("lora", "replicate"): RemoteLoraSpec,
    ("lora", "fal"): RemoteLoraSpec,
    ("sweep", "ray"): SweepSpec,
    ("sweep", "replicate"): SweepSpec,
    ("sweep", "fal"): SweepSpec,
    ("video_lora", "fal"): VideoLoraSpec,
    ("video_lora", "replicate"): VideoLoraSpec,
    ("video_lora", "ray"): VideoLoraSpec,
}


def spec_model(kind: object = DEFAULT_KIND, backend: object = None) -> type[JobSpec]:
    """The model of a kind on a backend, as a body names them; None for a backend that it does not name.

    Raises:
        InvalidInput: names `kind`, or `backend` where that one cannot run this kind.
    """
    models = {runner: model for (name, runner), model in SPECS.items() if name == kind}
    if not models:
        raise InvalidInput.field(
            "kind", f"{kind!r} is unknown; use one of {', '.join(dict.fromkeys(name for name, _ in SPECS))}"
        )
    if backend is None:
        return next(iter(models.values()))
    model = models.get(backend) if isinstance(backend, str) else None
    if model is None:
        raise InvalidInput.field("backend", f"{backend!r} cannot run kind {kind}; use {_or(list(models))}")
    return model


def parse_spec(body: Mapping[str, Any]) -> JobSpec:
    """Validate a request body or a config file.

    Raises:
        InvalidInput: `details["errors"]` names each field and what is wrong with it.
    """
    model = spec_model(body.get("kind", DEFAULT_KIND), body.get("backend"))
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_input(error) from None


def _or(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


_NAMED = re.compile(r"(config(?:\.\w+)+): (.+)", re.DOTALL)
_SEVERAL = ("body", "config")  # where a check of several fields stands


def field_told(name: str, message: str) -> tuple[str, str]:
    """The field and what is wrong with it; a check of several fields names the one that is wrong in its message."""
    said = _NAMED.match(message) if name in _SEVERAL else None
    return (said[1], said[2]) if said else (name, message)


def invalid_input(error: ValidationError, *, prefix: str = "") -> InvalidInput:
    """Turn pydantic's error into ours, with dotted field names."""
    errors = []
    for item in error.errors(include_url=False, include_input=False):
        # pydantic prefixes what a validator of ours said; the sentence stands on its own
        said = re.sub(r"^(Value|Assertion) error, ", "", item["msg"])
        name, message = field_told(".".join(str(part) for part in item["loc"]) or "body", said)
        errors.append({"field": prefix + name, "message": message})
    summary = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
    return InvalidInput(summary, errors=errors)
