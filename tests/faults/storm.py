"""200 mixed jobs while every kind of process is killed: `python -m tests.faults.storm --jobs 200 --seed 7`.

Prints what was done and what is wrong; ends with 1 where anything is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from ray.util import placement_group_table

from tests.faults.history import Verdict, check
from tests.faults.killer import Killer
from tests.faults.plan import Planned, plan
from tests.faults.user import Users
from tests.faults.world import HEAD_CPUS, SECOND_CPUS, World, running_world

SPREAD_S = 1.0  # between two submissions, so that kills meet jobs of all ages
REST_S = 600.0  # after the last kill everything has come to its end
FREE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What came of one."""

    verdict: Verdict
    killed: dict[str, int]
    repeats: int
    slowest_recovery_s: float
    seconds: float

    def report(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = {name: len(found) if isinstance(found, list) else found for name, found in vars(self.verdict).items()}
        return {
            **counts,
            "faults": sum(self.killed.values()),
            "killed": self.killed,
            "slowest_recovery_s": round(self.slowest_recovery_s, 1),
            "calls_repeated_by_clients": self.repeats,
            "seconds": round(self.seconds),
            "findings": self.verdict.findings,
        }


def make_dataset(folder: Path) -> str:
    """Pictures for trainings at a provider."""
    folder.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"{number}.png")
    return str(folder)


async def storm(world: World, jobs: Sequence[Planned], *, seed: int) -> Storm:
    """Let it rage over a platform, and judge."""
    began = time.monotonic()
    killer = Killer(world, seed=seed)
    async with httpx2.AsyncClient(base_url=world.url, timeout=30.0, trust_env=False) as http:
        users = Users(http)
        async with asyncio.TaskGroup() as group:
            raging = group.create_task(killer.run())
            await _live(users, jobs)
            await _until_late(world, users)
            killer.over.set()
            await raging
        await _at_rest(world, users)
    verdict = check(
        users.acknowledged,
        reader=world.reader,
        settings=world.settings,
        orders=world.simulator.orders,
        deliveries=world.simulator.deliveries,
    )
    verdict.not_free += await _not_free(world)
    return Storm(
        verdict=verdict,
        killed=dict(killer.killed),
        repeats=users.repeats,
        slowest_recovery_s=max(killer.recoveries_s, default=0.0),
        seconds=time.monotonic() - began,
    )


async def _live(users: Users, jobs: Sequence[Planned]) -> None:
    async with asyncio.TaskGroup() as group:
        for planned in jobs:
            group.create_task(users.live(planned))
            await asyncio.sleep(SPREAD_S)


def _open(world: World, users: Users) -> list[str]:
    """Jobs that have not come to their end, deletion included."""
    return [f"{job.job_name} {job.status} {job.attempt} {job.reason}" for job in world.reader.active()]


async def _until_late(world: World, users: Users) -> None:
    """Until a tenth is left: the last ones end in peace."""
    deadline = time.monotonic() + REST_S
    while (left := len(_open(world, users))) > len(users.acknowledged) // 10 and time.monotonic() < deadline:
        print(f"  {left} jobs are open", flush=True)
        await asyncio.sleep(3.0)


async def _at_rest(world: World, users: Users) -> None:
    deadline = time.monotonic() + REST_S
    while left := _open(world, users):
        if time.monotonic() > deadline:
            print("still open:", *left, sep="\n  ", flush=True)
            return
        await asyncio.sleep(1.0)


async def _not_free(world: World) -> list[str]:
    """What is still held a minute after the last job ended."""
    deadline = time.monotonic() + FREE_S
    while True:
        survey = await world.backend.survey()
        held = [f"{survey.total.cpus - survey.free.cpus:g} CPUs"] if survey.free.cpus != survey.total.cpus else []
        if survey.total.cpus != HEAD_CPUS + SECOND_CPUS:
            held.append(f"the cluster has {survey.total.cpus:g} CPUs")
        groups = placement_group_table().values()
        held += [f"placement group {group['name']}" for group in groups if group["state"] == "CREATED"]
        held += [f"{kind} {pid}" for kind in ("driver", "worker", "supervisor") for pid in world.find(kind)]
        if not held or time.monotonic() > deadline:
            return held
        await asyncio.sleep(1.0)


def main() -> int:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--home", type=Path, default=None, help="Kept afterwards; left out: a folder that goes.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storm-") as temporary:
        home: Path = (arguments.home or Path(temporary)).absolute()
        dataset = make_dataset(home / "pictures")
        jobs = plan(arguments.jobs, seed=arguments.seed, dataset=dataset)
        with running_world(home / "platform") as world:
            outcome = asyncio.run(storm(world, jobs, seed=arguments.seed))
    print(json.dumps(outcome.report(), indent=2))
    return 1 if outcome.verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
