"""What a job is expected to cost, and what it has cost, in the terms of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from thornback.errors import InvalidInput, SettingsError
from thornback.jobs.lora import RemoteLoraConfig
from thornback.jobs.pace import expected
from thornback.jobs.spec import (
    ConvNextSpec,
    ImageSetSpec,
    JobSpec,
    LoraSpec,
    RemoteLoraSpec,
    SweepSpec,
    VideoLoraSpec,
    parse_spec,
)
from thornback.jobs.state import MANY_STEPS, JobState
from thornback.jobs.status import JobStatus
from thornback.providers.catalogue import Catalogue
from thornback.providers.cost import Cost, Price
from thornback.spend.money import micro
from thornback.spend.prices import Amount, Share, Tariff
from thornback.store.durations import read_own_runs

# Past runs that are looked at for the pace of a new one.
_HISTORY = 50
_MOST = 1e9  # workers, dollars or images
# Stands for a dataset that does not exist yet; a price does not depend on it.
_LATER = "https://dataset.invalid/images.zip"


def estimate(job: JobState, tariff: Tariff, catalogue: Callable[[], Catalogue], connection: sa.Connection) -> Amount:
    """What is set aside for a job before it starts: of several steps, that of its training."""
    try:
        spec = parse_spec(job.spec)
        if isinstance(spec, SweepSpec):
            return Amount(micro_usd=micro(spec.config.budget.usd or 0.0), basis="its own budget, for all its trials")
        if isinstance(spec, VideoLoraSpec):
            spec = _training(spec)
        if isinstance(spec, ConvNextSpec | LoraSpec):
            return _own(spec, tariff, connection)
        return _ordered(spec, tariff, catalogue())
    except (InvalidInput, SettingsError, ValueError) as error:
        return Amount(micro_usd=micro(tariff.default_usd), basis=f"no price is known: {error}")


def actual(job: JobState, tariff: Tariff, reserved_micro: int) -> Amount:
    """What a job that has ended has cost.

    Orders: what the provider told; where it told nothing, the estimate of what succeeded, and nothing for the rest.
    Our own machines: the time from the first start to the end, on all that it held.
    """
    if job.kind in MANY_STEPS:
        return Amount(basis="its parts have their own")
    return _used_here(job, tariff) if job.backend == "ray" else _charged(job, reserved_micro)


def used_by_then(job: JobState, tariff: Tariff, at: datetime) -> Amount:
    """What a run of our own will have cost where it ends at `at`."""
    return _used_here(replace(job, completed_at=at), tariff)


def is_told(job: JobState) -> bool:
    """Whether the provider of an order has told what it cost."""
    return job.backend != "ray" and job.kind not in MANY_STEPS and _number(job.fact("cost_usd")) is not None


def _training(spec: VideoLoraSpec) -> JobSpec:
    if spec.backend == "ray":
        return spec.training("dataset.zip")
    config = RemoteLoraConfig.model_validate(spec.config.training_config(spec.backend, _LATER))
    return RemoteLoraSpec(kind="lora", backend=spec.backend, job_name=spec.job_name, config=config)


def _own(spec: ConvNextSpec | LoraSpec, tariff: Tariff, connection: sa.Connection) -> Amount:
    config = spec.config
    share = Share(
        gpus=0.0 if config.accelerator == "cpu" else float(config.devices),
        cpus=float(config.devices * config.cpus_per_device),
    )
    if not share.gpus and not tariff.cpu_hour:
        return Amount(basis="CPUs cost nothing here")
    history = read_own_runs(connection, spec.kind, spec.backend, limit=_HISTORY)
    try:
        found = expected(config, history)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        found = None  # configurations of past versions are not validated again
    return tariff.set_aside(share, None if found is None else found.seconds)


def _ordered(spec: JobSpec, tariff: Tariff, catalogue: Catalogue) -> Amount:
    cost, price = _price(spec, catalogue)
    if price.per != "second":
        return Amount(micro_usd=micro(cost.usd), basis=cost.basis)
    return Amount(micro_usd=micro(cost.usd * tariff.margin), basis=f"{cost.basis}, and a margin")


def _price(spec: JobSpec, catalogue: Catalogue) -> tuple[Cost, Price]:
    if isinstance(spec, ImageSetSpec):
        model = catalogue.image_model(spec.backend, spec.config.model)
        return model.estimate(spec.config), model.price
    if isinstance(spec, RemoteLoraSpec):
        trainer = catalogue.trainer(spec.backend, spec.config.trainer)
        return trainer.estimate(spec.config), trainer.price
    raise ValueError(f"kind {spec.kind} is not ordered anywhere")


def _used_here(job: JobState, tariff: Tariff) -> Amount:
    if job.started_at is None or job.completed_at is None:
        return Amount(basis="it never started")
    config = job.spec.get("config", {})
    workers = _number(job.fact("workers")) or _number(config.get("devices")) or 1.0
    device = job.fact("device")  # its name; "cpu" where there is no other
    on_cpu = device == "cpu" if isinstance(device, str) else config.get("accelerator") == "cpu"
    cpus = workers * (_number(config.get("cpus_per_device")) or 1.0)
    time = job.completed_at - job.started_at
    return tariff.own(Share(gpus=0.0 if on_cpu else workers, cpus=cpus), max(time, timedelta(0)))


def _charged(job: JobState, reserved_micro: int) -> Amount:
    told = _number(job.fact("cost_usd"))
    if told is not None:
        return Amount(micro_usd=micro(told), basis=str(job.fact("cost_basis") or "as the provider measured it"))
    guessed = _number(job.fact("cost_estimate_usd"))
    whole = reserved_micro if guessed is None else micro(guessed)
    done, total = _number(job.fact("images_done")), _number(job.fact("images_total"))
    if job.final is JobStatus.COMPLETED:
        return Amount(micro_usd=whole, basis="the estimate: the provider told nothing")
    if done and total:
        share = min(done / total, 1.0)
        return Amount(micro_usd=round(whole * share), basis=f"the estimate, of {done:g} of {total:g} images")
    return Amount(basis=f"{job.final}, and the provider told no cost")


def _number(value: object) -> float | None:
    """What a run says of itself may be anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _MOST else None
