"""Which jobs start now, and what the others wait for. Pure: the time is an argument.

Jobs are looked at in the order of `order.py`. One that fits is started. One that does not sets aside
the room that it will take, on the nodes where most is free. A job behind it is started only where it
cannot land in that room, and it is Ray that chooses the node: so every node on which it could land
must have room beside what is set aside. A small job may therefore overtake a big one where that cannot
delay it, and a big job is not overtaken for ever: the room that it has set aside only grows as running
jobs end. An elastic job starts when its least width fits.

So many of the first are looked at; those behind them wait without a place until it is their turn to be looked at.
What was found for one job holds for the next that asks for the same, for as long as no room was given away between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from thornback.backends.port import Node, Resources
from thornback.dispatch import reasons
from thornback.dispatch.capacity import PRECISION, Room
from thornback.dispatch.order import Running, Waiting, in_order
from thornback.jobs.spec import ResourceRequest
from thornback.metrics.port import QueuePlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that are not the cluster's present size."""

    max_running: int
    max_light: int = 100  # jobs that take no cores and no GPU, because their parts do; they count by themselves
    growth: Resources | None = None  # what an autoscaling cluster can grow to; None: it cannot grow
    held: str | None = None  # why nothing is started at all
    look_ahead: int = 1000  # jobs in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now."""

    start: tuple[str, ...] = ()
    impossible: Mapping[str, str] = field(default_factory=dict)  # job id -> what is missing
    pending: Mapping[str, str] = field(default_factory=dict)  # job id -> what it waits for
    places: Mapping[str, QueuePlace] = field(default_factory=dict)  # of all that were looked at and go on waiting
    wanted: tuple[Resources, ...] = ()  # bundles that the cluster should grow to hold, all at once


def choose(
    *,
    now: datetime,
    waiting: Sequence[Waiting],
    running: Sequence[Running],
    nodes: Sequence[Node],
    limits: Limits,
    granted: Mapping[str, datetime],
) -> Decision:
    """Decide. The same arguments give the same decision, whatever the order of the sequences.

    Args:
        now: the time of the decision.
        waiting: all jobs that could start.
        running: all jobs that were started and have not ended.
        nodes: what there is and what is free.
        limits: bounds from the settings.
        granted: when a job of each user was last started.
    """
    table = _Table(sorted(nodes, key=lambda node: node.id), sorted(running, key=lambda job: job.job_id), limits)
    for job in islice(in_order(waiting, running, now=now, total=table.total, granted=granted), limits.look_ahead):
        table.seat(job, now)
    return table.decision()


class _Table:
    """The state of one decision."""

    def __init__(self, nodes: Sequence[Node], running: Sequence[Running], limits: Limits) -> None:
        self.total = Room.whole(nodes).total
        self._nodes, self._limits = nodes, limits
        self._running = list(running)  # and what is started by this decision
        self._light = sum(_is_light(job.bundle) for job in running)  # of them
        self._whole = Room.whole(nodes)
        self._reach = Room.reachable(nodes)
        self._free = Room.free_on(nodes)
        self._spare = Room.free_on(nodes)  # what is certainly left beside what is set aside
        for job in running:
            if not job.holds:
                self._take(job.bundle, job.workers)
        self._has_set_aside = False
        self._start: list[str] = []
        self._impossible: dict[str, str] = {}
        self._pending: dict[str, str] = {}
        self._asked = False
        self._wanted = [job.bundle for job in running for _ in range(job.workers) if not _is_light(job.bundle)]
        self._wanted_sum = sum(self._wanted, Resources())
        self._impossible_for: dict[ResourceRequest, bool] = {}
        self._reasons: dict[ResourceRequest, str] = {}  # to wait, as things stand

    def seat(self, job: Waiting, now: datetime) -> None:
        """Start the job, or find out why it waits."""
        width = job.request.min_workers
        if self._can_never_hold(job):
            self._impossible[job.job_id] = reasons.impossible(job, self._nodes, self._limits.growth)
        elif job.not_before is not None and job.not_before > now:
            self._pending[job.job_id] = reasons.RESTING
        elif self._limits.held is not None:
            self._pending[job.job_id] = self._limits.held
        elif (crowd := self._crowd(job)) is not None:
            self._pending[job.job_id] = crowd
        elif (known := self._reasons.get(job.request)) is not None:
            self._pending[job.job_id] = known
        elif self._free.holds(job.bundle, width) and not self._would_delay(job):
            self._start_job(job)
            self._reasons.clear()
        else:
            self._pending[job.job_id] = self._wait(job)

    def decision(self) -> Decision:
        """What has been found."""
        places = {
            job_id: QueuePlace(position=place, reason=reason)
            for place, (job_id, reason) in enumerate(self._pending.items(), start=1)
        }
        return Decision(
            start=tuple(self._start),
            impossible=self._impossible,
            pending=self._pending,
            places=places,
            wanted=tuple(self._wanted) if self._asked else (),
        )

    def _crowd(self, job: Waiting) -> str | None:
        """What a bound of the settings makes it wait for.

        Light jobs wait for their own parts, so the two must never stand in each other's way.
        """
        if _is_light(job.bundle):
            limit = self._limits.max_light
            return reasons.crowded_with_light(limit) if self._light >= limit else None
        limit = self._limits.max_running
        return reasons.crowded(limit) if len(self._running) - self._light >= limit else None

    def _start_job(self, job: Waiting) -> None:
        workers = self._take(job.bundle, job.request.workers)
        self._start.append(job.job_id)
        self._light += _is_light(job.bundle)
        if not _is_light(job.bundle):
            self._wanted.extend([job.bundle] * workers)
            self._wanted_sum += job.bundle * workers
        self._running.append(
            Running(job_id=job.job_id, name=job.name, user=job.user, bundle=job.bundle, workers=workers, holds=False)
        )

    def _take(self, bundle: Resources, count: int) -> int:
        self._spare.take(bundle, self._free.reach_of(bundle, count))
        return sum(self._free.place(bundle, count).values())

    def _would_delay(self, job: Waiting) -> bool:
        """True where it could land in room that a job before it has set aside."""
        if not self._has_set_aside:
            return False
        return not self._spare.covers(job.bundle, self._free.reach_of(job.bundle, job.request.workers))

    def _wait(self, job: Waiting) -> str:
        others_came_first = self._has_set_aside
        has_room = self._set_aside(job)
        has_asked = self._ask_to_grow(job)
        reason = self._reason(job, others_came_first=others_came_first, has_room=has_room)
        if has_room or has_asked:
            self._reasons.clear()  # the next one finds things otherwise
        else:
            self._reasons[job.request] = reason
        return reason

    def _reason(self, job: Waiting, *, others_came_first: bool, has_room: bool) -> str:
        width = job.request.min_workers
        if not self._whole.holds(job.bundle, width):
            return reasons.growing(job) if self._can_grow_to(job) else reasons.smaller(job, self._nodes)
        if self._free.holds(job.bundle, width) or (others_came_first and not has_room):
            return reasons.behind(job, self._nodes)
        return reasons.missing(job, self._nodes, self._running)

    def _set_aside(self, job: Waiting) -> bool:
        """Keep the room that the job will take from those behind it; False where all is spoken for."""
        if not self._reach.holds(job.bundle, job.request.min_workers):
            return False
        placement = self._reach.place(job.bundle, job.request.min_workers, like=self._free)
        self._spare.take(job.bundle, placement)
        self._has_set_aside = True
        return True

    def _can_never_hold(self, job: Waiting) -> bool:
        if job.fitted_before or not self._nodes:
            return False
        known = self._impossible_for.get(job.request)
        if known is None:
            known = not self._whole.holds(job.bundle, job.request.min_workers) and not self._can_grow_to(job)
            self._impossible_for[job.request] = known
        return known

    def _can_grow_to(self, job: Waiting) -> bool:
        growth = self._limits.growth
        return growth is not None and _within(job.least, growth)

    def _ask_to_grow(self, job: Waiting) -> bool:
        wanted = self._wanted_sum + job.least
        if self._limits.growth is None or not _within(wanted, self._limits.growth):
            return False
        self._wanted.extend([job.bundle] * job.request.min_workers)
        self._wanted_sum, self._asked = wanted, True
        return True


def _is_light(bundle: Resources) -> bool:
    return bundle.cpus <= PRECISION and bundle.gpus <= PRECISION


def _within(resources: Resources, limit: Resources) -> bool:
    return resources.cpus <= limit.cpus + PRECISION and resources.gpus <= limit.gpus + PRECISION
