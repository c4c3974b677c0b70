"""From the creation of a job to its driver's first word, part by part, against `ray job submit` alone.

`python -m tests.benchmarks.launch_latency [jobs]`. Both run the same small driver on the same Ray, one
after the other. The figure that belongs to Thornback is `created to submitted`: the event's way to the
dispatcher, the look at Ray and at the database, the decision and its commit, and the HTTP call to Ray.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from ray.job_submission import JobSubmissionClient

from tests.fixtures.ray import RayNode, running_ray
from tests.integration.dispatch.rig import Rig
from thornback.backends.port import submission_id
from thornback.jobs.events import EventKind


async def ours(rig: Rig) -> dict[str, float]:
    """One job through the platform; seconds by part."""
    job_id = await rig.create("latency", epochs=1)
    job = await rig.until(job_id, lambda job: job.final)
    at = {event.kind: event.at for event in rig.reader.events(0, job_id=job.id)}
    details = JobSubmissionClient(str(rig.dashboard)).get_job_info(submission_id(job_id, 1))
    created, scheduled, started = at[EventKind.CREATED], at[EventKind.SCHEDULED], at[EventKind.STARTED]
    assert details.start_time is not None
    accepted = details.start_time / 1000  # when Ray wrote the submission down
    return {
        "created to scheduled": (scheduled - created).total_seconds(),
        "created to submitted": accepted - created.timestamp(),
        "submitted to started": started.timestamp() - accepted,
        "created to started": (started - created).total_seconds(),
    }


def plain(node: RayNode) -> float:
    """`ray job submit` of a driver that imports the same and connects to Ray; seconds to its first word."""
    client = JobSubmissionClient(node.dashboard)
    script = "import time, ray; ray.init(log_to_driver=False, configure_logging=False); print('at', time.time())"
    begun = time.time()
    name = client.submit_job(
        entrypoint=f'RAY_ADDRESS={node.address} exec {sys.executable} -c "{script}"',
        submission_id=f"plain-{uuid.uuid4()}",
    )
    while not client.get_job_status(name).is_terminal():
        time.sleep(0.05)
    [line] = [line for line in client.get_job_logs(name).splitlines() if line.startswith("at ")]
    return float(line.removeprefix("at ")) - begun


async def main(jobs: int) -> None:
    """Measure and print."""
    with running_ray() as (node, _), tempfile.TemporaryDirectory() as folder:
        rig = Rig(node.settings(Path(folder), dispatch_interval_s=2.0), dashboard=node.dashboard).start()
        await ours(rig)  # the actors have started after this
        plain(node)
        parts: list[dict[str, float]] = []
        alone: list[float] = []
        for _ in range(jobs):
            parts.append(await ours(rig))
            alone.append(await asyncio.to_thread(plain, node))
        for name in parts[0]:
            values = [part[name] for part in parts]
            print(f"{name:>22}: median {statistics.median(values) * 1000:7.0f} ms, worst {max(values) * 1000:7.0f} ms")
        mine, theirs = statistics.median(part["created to started"] for part in parts), statistics.median(alone)
        print(f"{'ray job submit alone':>22}: median {theirs * 1000:7.0f} ms")
        print(f"{'ratio':>22}: {mine / theirs:.2f}")
        await rig.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
