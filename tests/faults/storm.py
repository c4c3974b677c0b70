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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx2
from PIL import Image
from ray.util import placement_group_table

from tests.faults.history import check
from tests.faults.killer import PAUSE_S, STOPPED, Choices, Killer
from tests.faults.listener import Listener, listening, not_told, subscribe, to_be_told
from tests.faults.outcome import Storm, notices_s
from tests.faults.plan import MIX, Planned, plan
from tests.faults.user import Users
from tests.faults.world import HEAD_CPUS, KINDS, SECOND_CPUS, World, running_world
from tests.fixtures.postgres import running_postgres

SPREAD_S = 1.0  # between two submissions, so that kills meet jobs of all ages
STALLED_S = 900.0  # where for so long no job has ended, none will
FREE_S = 60.0


def make_dataset(folder: Path) -> str:
    """Pictures for trainings at a provider."""
    folder.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"{number}.png")
    return str(folder)


async def storm(world: World, jobs: Sequence[Planned], listener: Listener, choices: Choices, *, seed: int) -> Storm:
    """Let it rage over a platform, and judge."""
    began = time.monotonic()
    await subscribe(listener, world.settings)
    killer = Killer(world, choices, seed=seed)
    async with httpx2.AsyncClient(base_url=world.url, timeout=30.0, trust_env=False) as http:
        users = Users(http)
        async with asyncio.TaskGroup() as group:
            raging = group.create_task(killer.run())
            await _live(users, jobs)
            # the last ones end in peace
            await _until(lambda: _open(world), most=len(users.acknowledged) // 10, what="jobs are open")
            killer.over.set()
            await raging
        await _until(lambda: _open(world), most=0, what="jobs are open")
        await _until(lambda: _untold(world, listener), most=0, what="messages are on their way")
    verdict = check(
        users.acknowledged,
        reader=world.reader,
        settings=world.settings,
        orders=world.simulator.orders,
        deliveries=world.simulator.deliveries,
    )
    verdict.told = len(listener.taken)
    verdict.messages_lost += not_told(listener, world.reader)
    verdict.not_free += await _not_free(world)
    return Storm(
        verdict=verdict,
        killer=killer,
        notices_s=list(notices_s(killer.losses, world.reader)),
        repeats=users.repeats,
        seconds=time.monotonic() - began,
    )


async def _live(users: Users, jobs: Sequence[Planned]) -> None:
    async with asyncio.TaskGroup() as group:
        for planned in jobs:
            group.create_task(users.live(planned))
            await asyncio.sleep(SPREAD_S)


def _untold(world: World, listener: Listener) -> list[str]:
    return sorted(to_be_told(world.reader) - listener.taken.keys())


def _open(world: World) -> list[str]:
    """Jobs that have not come to their end, deletion included."""
    return [f"{job.job_name} {job.status} {job.attempt} {job.reason}" for job in world.reader.active()]


async def _until(left: Callable[[], Sequence[str]], *, most: int, what: str) -> None:
    """Until no more than `most` are left, or for so long nothing has changed that nothing will."""
    fewest, since = None, time.monotonic()
    while len(there := left()) > most:
        if fewest is None or len(there) < fewest:
            fewest, since = len(there), time.monotonic()
        elif time.monotonic() > since + STALLED_S:
            print(f"{len(there)} {what}:", *there, sep="\n  ", flush=True)
            return
        print(f"  {len(there)} {what}", flush=True)
        await asyncio.sleep(3.0)


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
    arguments = _parser().parse_args()
    every = arguments.every
    with tempfile.TemporaryDirectory(prefix="storm-") as temporary, ExitStack() as stack:
        home: Path = (arguments.home or Path(temporary)).absolute()
        dataset = make_dataset(home / "pictures")
        jobs = plan(arguments.jobs, seed=arguments.seed, dataset=dataset, mix=arguments.only or MIX)
        postgres = stack.enter_context(running_postgres(durable=True)) if arguments.postgres else None
        listener = stack.enter_context(listening())
        world = stack.enter_context(running_world(home / "platform", postgres=postgres))
        choices = Choices(
            kinds=() if arguments.quiet else arguments.kill or world.kinds,
            once=arguments.once or (),
            pause_s=PAUSE_S if every is None else (every, every),
            stopped=arguments.stopped,
        )
        outcome = asyncio.run(storm(world, jobs, listener, choices, seed=arguments.seed))
    print(json.dumps(outcome.report(), indent=2))
    return 1 if outcome.verdict.findings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--home", type=Path, default=None, help="Kept afterwards; left out: a folder that goes.")
    parser.add_argument("--postgres", action="store_true", help="On PostgreSQL, which crashes now and then as well.")
    parser.add_argument("--only", action="append", choices=sorted(set(MIX)), help="Jobs of these kinds; repeatable.")
    parser.add_argument("--kill", action="append", choices=sorted(KINDS), help="Processes of these kinds; repeatable.")
    parser.add_argument("--once", action="append", choices=sorted(KINDS), help="One of this kind, first of all.")
    parser.add_argument("--every", type=float, default=None, help="Seconds between two faults; left out: 1 to 5.")
    parser.add_argument("--stopped", type=float, default=STOPPED, help="The part that is stopped and not killed.")
    parser.add_argument("--quiet", action="store_true", help="No faults: how long the same jobs take in peace.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
