"""Who comes next: priority, then fairness between users, then age. Pure.

Among jobs of one priority the next one belongs to the user who holds the smallest share of the
cluster (the greater of the shares of its CPUs and of its GPUs). Between users who hold the same share
it belongs to the one who has waited longest since the last time one of their jobs started, and a
user's own jobs go by age. Each place given counts for the places after it.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from thornback.backends.port import Resources
from thornback.jobs.spec import ResourceRequest

_AGE = attrgetter("created_at", "job_id")
_SHARE_DIGITS = 6  # sums of floats in another order must not change the order of users


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job that could be started."""

    job_id: str
    name: str
    user: str
    priority: int
    created_at: datetime
    request: ResourceRequest
    not_before: datetime | None = None  # after a failed submission
    # It is known to have fitted, so a cluster that is too small now has lost nodes or is still starting.
    fitted_before: bool = False

    @property
    def bundle(self) -> Resources:
        """What one worker needs."""
        return Resources(self.request.cpus, self.request.gpus)

    @property
    def least(self) -> Resources:
        """What it needs to start at all."""
        return self.bundle * self.request.min_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A job that was started and has not ended."""

    job_id: str
    name: str
    user: str
    bundle: Resources
    workers: int  # that it holds, or that are set aside for it
    holds: bool  # its resources are already missing from what the nodes have free

    @property
    def uses(self) -> Resources:
        """What it holds or will hold."""
        return self.bundle * self.workers


def share(uses: Resources, total: Resources) -> float:
    """The dominant share of the cluster, 0 to 1."""
    parts = [part / whole for part, whole in ((uses.cpus, total.cpus), (uses.gpus, total.gpus)) if whole > 0]
    return max(parts, default=0.0)


def in_order(
    waiting: Iterable[Waiting],
    running: Iterable[Running],
    *,
    now: datetime,
    total: Resources,
    granted: Mapping[str, datetime],
) -> Iterator[Waiting]:
    """The waiting jobs, next one first.

    Args:
        waiting: in any order.
        running: what each user holds.
        now: the time of this decision.
        total: what the cluster has.
        granted: when a job of a user was last started; users without an entry never had one.
    """
    shares: dict[str, float] = defaultdict(float)
    for holder in running:
        shares[holder.user] += share(holder.uses, total)
    since = dict(granted)
    by_priority: dict[int, list[Waiting]] = defaultdict(list)
    for item in waiting:
        by_priority[item.priority].append(item)

    given = 0
    for priority in sorted(by_priority, reverse=True):
        users: dict[str, list[Waiting]] = defaultdict(list)
        for item in sorted(by_priority[priority], key=_AGE, reverse=True):
            users[item.user].append(item)  # the oldest is last, to be popped

        def key(user: str, users: Mapping[str, list[Waiting]] = users) -> tuple[float, datetime, datetime, str, str]:
            job = users[user][-1]
            waits_since = max(job.created_at, since.get(user, job.created_at))
            return round(shares[user], _SHARE_DIGITS), waits_since, job.created_at, job.job_id, user

        heap = [key(user) for user in users]
        heapq.heapify(heap)
        while heap:
            user = heapq.heappop(heap)[-1]
            job = users[user].pop()
            yield job
            given += 1
            shares[user] += share(job.least, total)
            since[user] = now + timedelta(microseconds=given)
            if users[user]:
                heapq.heappush(heap, key(user))
