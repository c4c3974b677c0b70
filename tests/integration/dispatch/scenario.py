"""What happens to jobs when Ray itself goes: run in a process of its own, `python -m … NAME FOLDER`.

Prints one JSON line with what the test looks at. `crash` prints and then waits to be killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.fixtures.ray import OBJECT_STORE_BYTES, RayNode, running_ray
from tests.integration.dispatch.rig import Rig, open_gate
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus


def say(**facts: Any) -> None:
    """For the test."""
    print(json.dumps(facts), flush=True)


def facts(rig: Rig, job: JobState) -> dict[str, Any]:
    """What the test compares."""
    return {
        "id": job.id,
        "status": job.status.value,
        "attempt": job.attempt,
        "retry": job.retry_message,
        "reason": job.reason,
        "epochs": [row.epoch for row in rig.reader.metrics(job.id)],
    }


async def crash(node: RayNode, cluster: Any, folder: Path) -> None:
    """A running job and a waiting one, and then the end of the world."""
    rig = Rig(node.settings(folder / "home", namespace="restart"), dashboard=node.dashboard).start()
    running = await rig.paused(folder, "running", devices=4)
    waiting = await rig.create("waiting", devices=4)
    await rig.until(waiting, lambda job: job.status is JobStatus.PENDING)
    say(running=running.id, waiting=waiting, driver=running.fact("driver_pid"))
    threading.Event().wait()


async def recover(node: RayNode, cluster: Any, folder: Path) -> None:
    """Another Ray over the same database: both jobs come to their end."""
    open_gate(folder)
    rig = Rig(node.settings(folder / "home", namespace="restart"), dashboard=node.dashboard).start()
    jobs = [await rig.until(job.id, lambda job: job.final) for job in rig.reader.active()]
    say(jobs=[facts(rig, job) for job in jobs])
    await rig.stop()


async def lose_node(node: RayNode, cluster: Any, folder: Path) -> None:
    """A job over two nodes of which one is lost, and later replaced."""
    second = cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    rig = Rig(node.settings(folder / "home"), dashboard=node.dashboard).start()
    job = await rig.paused(folder, "wide", devices=2)
    cluster.remove_node(second, allow_graceful=False)
    job = await rig.until(job.id, lambda job: job.attempt == 2 and "nodes to come" in str(job.reason))
    say(lost=facts(rig, job))
    open_gate(folder)
    cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    job = await rig.until(job.id, lambda job: job.final)
    say(end=facts(rig, job))
    await rig.stop()


SCENARIOS: dict[str, tuple[int, Callable[[RayNode, Any, Path], Awaitable[None]]]] = {
    "crash": (4, crash),
    "recover": (4, recover),
    "lose_node": (1, lose_node),
}


async def main(name: str, folder: Path) -> None:
    """Run one."""
    cpus, scenario = SCENARIOS[name]
    with running_ray(cpus=cpus) as (node, cluster):
        await scenario(node, cluster, folder)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
