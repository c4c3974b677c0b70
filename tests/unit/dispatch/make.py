"""Short ways to write down jobs and nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from thornback.backends.port import Node, Resources
from thornback.dispatch.order import Running, Waiting
from thornback.dispatch.policy import Decision, Limits, choose
from thornback.jobs.spec import ResourceRequest

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def minutes_ago(minutes: float) -> datetime:
    """A time before NOW."""
    return NOW - timedelta(minutes=minutes)


def waiting(
    job_id: str,
    *,
    cpus: float = 1.0,
    gpus: float = 0.0,
    workers: int = 1,
    least: int | None = None,
    user: str = "ada",
    priority: int = 0,
    age: float = 1.0,
    **more: Any,
) -> Waiting:
    """A job that has waited for `age` minutes; its name is its id."""
    return Waiting(
        job_id=job_id,
        name=job_id,
        user=user,
        priority=priority,
        created_at=minutes_ago(age),
        request=ResourceRequest(workers=workers, min_workers=least or workers, cpus=cpus, gpus=gpus),
        **more,
    )


def running(
    job_id: str, *, cpus: float = 1.0, gpus: float = 0.0, workers: int = 1, user: str = "grace", holds: bool = True
) -> Running:
    """A job that was started."""
    return Running(job_id=job_id, name=job_id, user=user, bundle=Resources(cpus, gpus), workers=workers, holds=holds)


def node(
    cpus: float, gpus: float = 0.0, *, free: tuple[float, float] | None = None, ours: bool = True, id: str = "a"
) -> Node:
    """A node; what is not free belongs to our jobs unless told otherwise."""
    total = Resources(cpus, gpus)
    left = total if free is None else Resources(*free)
    return Node(id=id, total=total, free=left, held=total - left if ours else Resources())


def decide(
    jobs: Sequence[Waiting],
    nodes: Sequence[Node],
    *,
    busy: Sequence[Running] = (),
    max_running: int = 100,
    max_light: int = 100,
    growth: Resources | None = None,
    granted: Mapping[str, datetime] | None = None,
) -> Decision:
    """One decision at NOW."""
    return choose(
        now=NOW,
        waiting=jobs,
        running=busy,
        nodes=nodes,
        limits=Limits(max_running=max_running, max_light=max_light, growth=growth),
        granted=granted or {},
    )
