"""What a job would cost and how long it would take, before anybody pays for it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from serve_apps.api.provider_schemas import EstimateOut
from thornback.jobs.spec import ImageSetSpec, JobSpec, RemoteLoraSpec
from thornback.providers.catalogue import Catalogue
from thornback.providers.entry import ImageModel, Trainer
from thornback.store.read import StoreReader

_OWN = "it runs on this cluster"


def estimate(spec: JobSpec, catalogue: Catalogue, store: StoreReader) -> EstimateOut:
    """The estimate of a job. Raises InvalidInput where the catalogue has no such trainer or model."""
    if isinstance(spec, RemoteLoraSpec):
        return _training(spec, catalogue.trainer(spec.backend, spec.config.trainer), store)
    if isinstance(spec, ImageSetSpec):
        return _images(spec, catalogue.image_model(spec.backend, spec.config.model))
    return EstimateOut(
        backend=spec.backend,
        model=None,
        cost_usd=None,
        cost_basis=_OWN,
        seconds=None,
        seconds_basis=f"{_OWN}: its first epochs will tell",
        seconds_origin=None,
    )


def _training(spec: RemoteLoraSpec, trainer: Trainer, store: StoreReader) -> EstimateOut:
    cost = trainer.estimate(spec.config)
    steps = trainer.steps(spec.config)
    pace = _pace(store.durations(trainer.provider, trainer.name))
    usual = trainer.steps(spec.config.model_copy(update={"steps": None, "inputs": {}}))
    if pace is not None and steps:
        seconds = pace * steps
        basis = f"{steps} steps, as quick as the trainings with {trainer.name} that ended here"
    elif steps and usual:
        seconds = trainer.typical_s * steps / usual
        basis = f"{steps} steps, where the catalogue says {trainer.typical_s:g} s for {usual}"
    else:
        seconds = trainer.typical_s
        basis = "what the catalogue says of a usual training"
    return EstimateOut(
        backend=spec.backend,
        model=trainer.name,
        cost_usd=cost.usd,
        cost_basis=cost.basis,
        seconds=round(seconds, 1),
        seconds_basis=basis,
        seconds_origin="history" if pace is not None and steps else "catalogue",
    )


def _images(spec: ImageSetSpec, model: ImageModel) -> EstimateOut:
    cost = model.estimate(spec.config)
    total = spec.config.total
    return EstimateOut(
        backend=spec.backend,
        model=model.name,
        cost_usd=cost.usd,
        cost_basis=cost.basis,
        seconds=model.typical_s,
        seconds_basis=f"what the catalogue says of one image: all {total} are ordered at once",
        seconds_origin="catalogue",
    )


def _pace(history: Sequence[tuple[int, float]]) -> float | None:
    """Seconds a step of the middle one of past trainings, None where there were none."""
    paces = [seconds / steps for steps, seconds in history if steps > 0]
    return median(paces) if paces else None
