"""What a job would cost and how long it would take, before anybody pays for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from serve_apps.api.provider_schemas import EstimateOut
from thornback.errors import InvalidInput
from thornback.jobs.lora import RemoteLoraConfig
from thornback.jobs.pace import Expected, PastRun, expected
from thornback.jobs.spec import ConvNextSpec, ImageSetSpec, JobSpec, LoraSpec, RemoteLoraSpec, SweepSpec
from thornback.jobs.sweep import SweepConfig
from thornback.providers.catalogue import Catalogue
from thornback.providers.entry import ImageModel, Trainer
from thornback.store.read import StoreReader

_OWN = "it runs on this cluster"
# Stands for the dataset that is made of the video; a price does not depend on it.
_MADE = "https://dataset.invalid/images.zip"


def estimate(spec: JobSpec, catalogue: Catalogue, store: StoreReader) -> EstimateOut:
    """The estimate of a job. Raises InvalidInput where the catalogue has no such trainer or model."""
    if isinstance(spec, SweepSpec):
        trial = next(spec.examples(), None)
        if trial is None:
            raise InvalidInput.field(
                "config.space", "its values go together by chance only, so that no trial can be priced"
            )
        return _sweep(spec.config, estimate(trial, catalogue, store))
    if isinstance(spec, RemoteLoraSpec):
        return _training(spec.config, catalogue.trainer(spec.backend, spec.config.trainer), store)
    if isinstance(spec, ImageSetSpec):
        return _images(spec, catalogue.image_model(spec.backend, spec.config.model))
    history = store.own_runs(spec.kind, spec.backend)
    if isinstance(spec, ConvNextSpec | LoraSpec):
        return _own(spec.backend, expected(spec.config, history))
    if spec.backend == "ray":
        return _pipeline(_own(spec.backend, None), history)
    trainer = catalogue.trainer(spec.backend, spec.config.trainer)
    config = RemoteLoraConfig.model_validate(spec.config.training_config(spec.backend, _MADE))
    return _pipeline(_training(config, trainer, store), history)


def _own(backend: str, found: Expected | None) -> EstimateOut:
    basis = f"{_OWN}: its first epochs will tell"
    if found is not None:
        count = "one training" if found.runs == 1 else f"{found.runs} trainings"
        unlike = f" with another {', '.join(found.differs)}" if found.differs else ""
        basis = f"{found.units} {found.unit}, as quick as {count} of this model that ended here{unlike}"
    return EstimateOut(
        backend=backend,
        model=None,
        cost_usd=None,
        cost_basis=_OWN,
        seconds=round(found.seconds, 1) if found else None,
        seconds_basis=basis,
        seconds_origin="history" if found else None,
    )


def _pipeline(training: EstimateOut, history: Sequence[PastRun]) -> EstimateOut:
    """From a video: the price is the training's; the time that of other pipelines, for its length is not known yet."""
    if took := [run.seconds for run in history if run.seconds > 0]:
        basis = f"the middle of what the last {len(took)} took, from the video to the version"
        return training.model_copy(
            update={"seconds": round(median(took), 1), "seconds_basis": basis, "seconds_origin": "history"}
        )
    basis = "the training alone; nobody can say what the video takes before it was looked at"
    return training.model_copy(update={"seconds_basis": basis})


def _sweep(config: SweepConfig, trial: EstimateOut) -> EstimateOut:
    """As many trials as are planned, so many at a time, none of them ended early; no more than the budget has."""
    count, at_once, budget = config.planned_trials, config.concurrency, config.budget
    cost = None if trial.cost_usd is None else trial.cost_usd * count
    seconds = None if trial.seconds is None else trial.seconds * math.ceil(count / at_once)
    return trial.model_copy(
        update={
            "cost_usd": cost if cost is None or budget.usd is None else min(cost, budget.usd),
            "cost_basis": f"{count} trials, each: {trial.cost_basis}",
            "seconds": seconds if seconds is None or budget.hours is None else min(seconds, budget.hours * 3600),
            "seconds_basis": f"{count} trials, {at_once} at a time, none ended early; each: {trial.seconds_basis}",
        }
    )


def _training(config: RemoteLoraConfig, trainer: Trainer, store: StoreReader) -> EstimateOut:
    cost = trainer.estimate(config)
    steps = trainer.steps(config)
    pace = _pace(store.durations(trainer.provider, trainer.name))
    usual = trainer.steps(config.model_copy(update={"steps": None, "inputs": {}}))
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
        backend=trainer.provider,
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
