"""Why a job waits or can never start, as sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from thornback.backends.port import Node, Resources
from thornback.dispatch.capacity import PRECISION
from thornback.dispatch.order import Running, Waiting

_MOST_NAMES = 3


def count(amount: float, noun: str) -> str:
    """`1 GPU`, `2 GPUs`, `0.5 CPU`."""
    rounded = round(amount, 4)
    return f"{rounded:g} {noun}{'' if 0 < rounded <= 1 else 's'}"


def amounts(resources: Resources) -> str:
    """`1 CPU and 1 GPU`; what is zero is left out."""
    parts = [
        count(amount, noun) for amount, noun in ((resources.cpus, "CPU"), (resources.gpus, "GPU")) if amount > PRECISION
    ]
    return " and ".join(parts) or "no CPU"


def provider_of(nodes: Sequence[Node]) -> str | None:
    """The provider whose slots these are, None for machines."""
    return nodes[0].slots_of if nodes else None


def needs(job: Waiting) -> str:
    """`2 workers with 1 CPU and 1 GPU each`."""
    workers = job.request.min_workers
    at_least = "at least " if workers < job.request.workers else ""
    if workers == 1:
        return f"{at_least}1 worker with {amounts(job.bundle)}"
    return f"{at_least}{workers} workers with {amounts(job.bundle)} each"


def impossible(job: Waiting, nodes: Sequence[Node], limits: Resources | None) -> str:
    """What the job needs and what is missing; the cluster can never hold it."""
    provider = provider_of(nodes)
    if provider is not None:
        return f"{provider} has no slots; raise THORNBACK_PROVIDER_SLOTS"
    total = sum((node.total for node in nodes), Resources())
    where = "the cluster has"
    if limits is not None:
        total, where = limits, "the cluster can grow to"
    for want, have, noun in ((job.least.gpus, total.gpus, "GPU"), (job.least.cpus, total.cpus, "CPU")):
        if want > have + PRECISION:
            return f"needs {needs(job)}; {where} {count(have, noun)}"
    largest = max(nodes, key=lambda node: (node.total.gpus if job.bundle.gpus else 0.0, node.total.cpus, node.id))
    return f"needs {needs(job)}, each on one node; the largest node has {amounts(largest.total)}"


def missing(job: Waiting, nodes: Sequence[Node], running: Sequence[Running]) -> str:
    """What is not free and who has it."""
    provider = provider_of(nodes)
    total = sum((node.total for node in nodes), Resources())
    ours = sum((other.uses for other in running), Resources())
    set_aside = sum((other.uses for other in running if not other.holds), Resources())
    free = sum((node.free for node in nodes), Resources()) - set_aside
    kinds = (
        (job.least.gpus, free.gpus, total.gpus, ours.gpus, "GPU"),
        (job.least.cpus, free.cpus, total.cpus, ours.cpus, "CPU"),
    )
    for want, have, whole, held, noun in kinds:
        if want <= have + PRECISION:
            continue
        used = whole - max(have, 0.0)
        holders = [f"'{other.name}'" for other in running if _has(other, noun)]
        outside = used - held
        if outside > PRECISION:
            holders = [*_first(holders), f"others than Thornback ({outside:g})"]
        by = f" by {', '.join(_first(holders))}" if holders else ""
        if provider is not None:
            return f"waiting for a slot at {provider}: {used:g} of {whole:g} in use{by}"
        return f"waiting for {count(want, noun)}: {used:g} of {whole:g} in use{by}"
    return f"waiting for {needs(job)}: enough is free, but not together on one node"


def behind(job: Waiting, nodes: Sequence[Node]) -> str:
    """It would fit, or will, after jobs that came first; the same text however many they are."""
    provider = provider_of(nodes)
    if provider is not None:
        return f"waiting for a slot at {provider} behind jobs that come first"
    return f"waiting for {amounts(job.least)} behind jobs that come first"


def growing(job: Waiting) -> str:
    """The autoscaler was asked for it."""
    return f"waiting for the cluster to grow: needs {needs(job)}"


def smaller(job: Waiting, nodes: Sequence[Node]) -> str:
    """It ran here before, and the cluster is smaller now."""
    total = sum((node.total for node in nodes), Resources())
    return f"waiting for nodes to come back: needs {needs(job)}; the cluster has {amounts(total)}"


def crowded(limit: int) -> str:
    """The bound of the settings is reached."""
    return f"waiting for one of {limit} running jobs to end (THORNBACK_MAX_RUNNING_JOBS)"


def crowded_with_light(limit: int) -> str:
    """The bound for jobs that take no cores is reached."""
    return f"waiting for one of {limit} running pipelines to end (THORNBACK_MAX_PIPELINES)"


def held(by: str, why: str) -> str:
    """Somebody has stopped the queue."""
    return f"the queue is paused by {by}{f': {why}' if why else ''}"


RESTING = "the last attempt to start it failed; it is tried again in a moment"


def _has(job: Running, noun: str) -> bool:
    return (job.uses.gpus if noun == "GPU" else job.uses.cpus) > PRECISION


def _first(names: list[str]) -> list[str]:
    if len(names) <= _MOST_NAMES + 1:
        return names
    return [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES} more"]
