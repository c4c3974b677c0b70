"""Many small jobs through one head with two nodes, and the decision on a queue of 100,000.

    python -m tests.benchmarks.many_jobs [--jobs 1000] [--minutes 10] [--at-once 4] [--waiting 100000]

Launches: drivers that report their start and their end and do nothing else, each a Ray Job of its own, so that the
figures are those of Ray and the platform. What has not ended after `--minutes` is cancelled and counted apart. Then
every job is looked at: one end, one attempt, nothing left that runs, all CPUs free. Memory and processor time are
those of the control plane: Ray's own processes on the head and the platform's two actors.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
import ray

from tests.fixtures.ray import OBJECT_STORE_BYTES, running_ray
from tests.integration.dispatch.rig import Rig
from thornback.backends.port import Node, Resources
from thornback.dispatch.actor import DISPATCHER_ACTOR
from thornback.dispatch.order import Running, Waiting
from thornback.dispatch.policy import Limits, choose
from thornback.jobs.events import EventKind
from thornback.jobs.spec import ResourceRequest
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.metrics.names import METRICS_ACTOR

ENTRY = {"convnext": "tests.benchmarks.small_job"}
REPEATS = 5
CREATES = 16  # at once
SETTLE_S = 120.0


@dataclass(frozen=True, slots=True)
class Used:
    """By the control plane."""

    bytes: int
    cpu_s: float


class ControlPlane:
    """Its processes."""

    def __init__(self, session: str, rig: Rig) -> None:
        own = [rig.actor_pid(name) for name in (METRICS_ACTOR, DISPATCHER_ACTOR)]
        rays = [process.pid for process in psutil.process_iter() if _is_rays(process, session)]
        self._processes = {pid: psutil.Process(pid) for pid in (*own, *rays) if pid is not None}

    def used(self) -> Used:
        """Up to now."""
        found = [process for process in self._processes.values() if process.is_running()]
        times = [process.cpu_times() for process in found]
        return Used(sum(process.memory_info().rss for process in found), sum(time.user + time.system for time in times))


def _is_rays(process: psutil.Process, session: str) -> bool:
    try:
        command = " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return session in command and any(name in command for name in ("gcs_server", "raylet", "dashboard"))


def decision_ms(waiting: int, users: int) -> list[float]:
    """The policy's processor time, with 16 nodes and 60 running jobs."""
    chance, now = random.Random(7), datetime(2026, 3, 1, tzinfo=UTC)
    kinds = ((1, 1, 0), (2, 1, 0), (1, 4, 1), (4, 8, 1), (1, 0, 0))
    requests = [ResourceRequest(workers=w, min_workers=w, cpus=c, gpus=g) for w, c, g in kinds]
    jobs = [
        Waiting(
            job_id=str(uuid.UUID(int=number)),
            name=f"job {number}",
            user=f"user {chance.randrange(users)}",
            priority=chance.choice((0, 0, 0, 5, -5)),
            created_at=now + timedelta(seconds=number),
            request=chance.choice(requests),
        )
        for number in range(waiting)
    ]
    nodes = [Node(id=f"node {n}", total=Resources(16, 4 * (n % 2)), free=Resources(8, n % 2)) for n in range(16)]
    running = [
        Running(job_id=f"r{n}", name=f"run {n}", user=f"user {n}", bundle=Resources(2), workers=1, holds=True)
        for n in range(60)
    ]
    took = []
    for _ in range(REPEATS):
        began = time.process_time()  # what others do on this machine is not the policy's
        choose(now=now, waiting=jobs, running=running, nodes=nodes, limits=Limits(max_running=100), granted={})
        took.append(1000 * (time.process_time() - began))
    return took


async def create(rig: Rig, jobs: int) -> tuple[list[str], float]:
    """All of them; their ids and how long that took."""
    gate, began = asyncio.Semaphore(CREATES), time.monotonic()

    async def one(number: int) -> str:
        async with gate:
            return await rig.create(f"small {number}", user=f"user {number % 7}", epochs=1)

    return await asyncio.gather(*(one(number) for number in range(jobs))), time.monotonic() - began


async def end(rig: Rig, ids: Sequence[str], minutes: float) -> float:
    """Wait for all, cancel what is left in the end; how long the jobs had."""
    began = time.monotonic()
    await over(rig, 60 * minutes)
    took = time.monotonic() - began
    for job in rig.reader.active():
        await rig.cancel(job.id)
    await over(rig, SETTLE_S)
    return took


async def over(rig: Rig, within_s: float) -> None:
    """Wait until nothing is left to do, but no longer than that."""
    deadline = time.monotonic() + within_s
    while rig.reader.active() and time.monotonic() < deadline:  # noqa: ASYNC110 - the database is asked
        await asyncio.sleep(0.5)


def report(rig: Rig, ids: Sequence[str], took_s: float) -> None:
    """Launches, and where their time went."""
    jobs = [rig.job(job_id) for job_id in ids]
    done = [job for job in jobs if job.status is JobStatus.COMPLETED]
    print(f"jobs: {dict(Counter(job.status.value for job in jobs))}; {len(done) / took_s:.2f} launches/s")
    ways, queued = [], []
    for job in done:
        at = {event.kind: event.at for event in rig.reader.events(0, job_id=job.id)}
        ways.append((at[EventKind.STARTED] - at[EventKind.SCHEDULED]).total_seconds())
        queued.append((at[EventKind.SUCCEEDED], at[EventKind.SCHEDULED]))
    if len(ways) > 1:
        print(f"decided to driver's first word: p50 {median(ways):.2f} s, p99 {quantiles(ways, n=100)[98]:.2f} s")
        print(f"a place that is free is given again: p50 {1000 * median(gaps(queued)):.0f} ms (queue overhead a job)")


def gaps(runs: Sequence[tuple[datetime, datetime]]) -> list[float]:
    """Seconds from each end to the first decision after it, while jobs waited."""
    decided = sorted(began for _, began in runs)
    found = []
    for ended in sorted(ended for ended, _ in runs):
        later = next((began for began in decided if began >= ended), None)
        if later is not None:
            found.append((later - ended).total_seconds())
    return found or [0.0]


async def wrong(rig: Rig, ids: Sequence[str]) -> list[str]:
    """What is not true in the end."""
    found = []
    for job_id in ids:
        job: JobState = rig.job(job_id)
        ends = [event for event in rig.reader.events(0, job_id=job_id, limit=10_000) if event.kind.is_final]
        if job.final is None or job.final is JobStatus.FAILED or len(ends) != 1 or job.attempt > 1:
            found.append(f"{job_id}: {job.status.value}, attempt {job.attempt}, {len(ends)} ends")
    survey = await rig.backend.survey()
    found += [f"{key} still runs" for key, state in survey.submissions.items() if state.phase.is_alive]
    if survey.free.cpus < survey.total.cpus:
        found.append(f"{survey.total.cpus - survey.free.cpus:g} CPUs are not free")
    return found


async def launches(jobs: int, minutes: float, at_once: int) -> None:
    """The whole way."""
    with running_ray(cpus=at_once) as (node, cluster), tempfile.TemporaryDirectory() as folder:
        cluster.add_node(num_cpus=at_once, object_store_memory=OBJECT_STORE_BYTES)
        cluster.wait_for_nodes()
        session = str(cluster.head_node.get_session_dir_path())
        settings = node.settings(Path(folder), max_running_jobs=at_once, dispatch_interval_s=2.0)
        rig = Rig(settings, dashboard=node.dashboard, entrypoints=ENTRY).start()
        warm = await rig.create("warm", epochs=1)
        await rig.until(warm, lambda job: job.final, within_s=300)
        plane = ControlPlane(session, rig)
        before = plane.used()
        ids, took_s = await create(rig, jobs)
        print(f"{jobs} jobs created in {took_s:.1f} s ({jobs / took_s:.0f}/s)", flush=True)
        took_s = await end(rig, ids, minutes)
        after = plane.used()
        report(rig, ids, took_s)
        each = 1000 * (after.cpu_s - before.cpu_s) / jobs
        grown = (after.bytes - before.bytes) / 1e6 * 1000 / jobs
        print(f"control plane: {before.bytes / 1e6:.0f} MB before, {grown:+.0f} MB a 1,000 jobs")
        print(f"control plane: {each:.0f} ms of a processor a job")
        problems = await wrong(rig, ids)
        print(f"wrong in the end: {len(problems)}", *problems[:10], sep="\n  ")
        await rig.stop()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0, help="after so long the rest is cancelled")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--waiting", type=int, default=100_000)
    arguments: Any = parser.parse_args()
    for users in (1, 10, 1000):
        took = decision_ms(arguments.waiting, users)
        print(f"decision on {arguments.waiting:,} waiting jobs of {users:4} users: {median(took):.0f} ms", flush=True)
    if arguments.jobs:
        asyncio.run(launches(arguments.jobs, arguments.minutes, arguments.at_once))
    if ray.is_initialized():
        ray.shutdown()


if __name__ == "__main__":
    main()
