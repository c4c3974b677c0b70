"""Seconds from POST to the first metric, against `ray job submit` of the plainest script for the same step.

    python -m tests.benchmarks.time_to_first_metric [--rounds 3]

Both on one running platform, taking turns. The plain script is submitted through Ray Jobs and trains one
step of the same network on the same clips in one Ray Train worker. For both it is told where the time went.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from tests.benchmarks import plain_step
from thornback.client import Client
from thornback.datasets.radio import demo_config, make_radio_dataset
from thornback.node.ports import next_free
from thornback.node.process import NodeProcess
from thornback.node.record import NodeRecord
from thornback.settings import Settings

Marks = dict[str, float]  # what was reached -> seconds since the POST


def through_platform(record: NodeRecord, manifest: Path) -> Marks:
    """POST, then follow the job's events; they carry the times at which they happened."""
    with Client(record.url) as client:
        began = time.time()
        job = client.submit("first metric", {**demo_config(manifest), "epochs": 200})
        marks: Marks = {"answered": time.time() - began}
        for event in client.events(job.id, after=0):
            at = event.at.timestamp() - began
            if event.kind in ("scheduled", "started"):
                marks[event.kind] = at
            elif event.kind == "stage":
                marks[str(event.data["name"])] = at
            elif event.kind == "metrics":
                marks["first metric"] = at
                marks["first metric at the client"] = time.time() - began
                break
        client.cancel(job.id)
        client.wait(job.id, timeout_s=120)
    return marks


def through_ray_jobs(record: NodeRecord, manifest: Path, folder: Path) -> Marks:
    """Submit the plain script and read the times that it wrote down."""
    from ray.job_submission import JobStatus, JobSubmissionClient

    output = folder / f"{uuid.uuid4().hex}.txt"
    jobs = JobSubmissionClient(record.dashboard_url)
    words = [sys.executable, plain_step.__file__, str(manifest), str(output)]
    began = time.time()
    submission = jobs.submit_job(entrypoint=" ".join(shlex.quote(str(word)) for word in words))
    marks: Marks = {"answered": time.time() - began}
    while (status := jobs.get_job_status(submission)) not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        time.sleep(0.2)
    if status is JobStatus.FAILED:
        raise RuntimeError(jobs.get_job_logs(submission))
    for line in output.read_text().splitlines():
        name, _, at = line.rpartition(" ")
        marks[name] = float(at) - began
    return marks


def tell(name: str, runs: list[Marks]) -> float:
    """Medians of every mark, in order."""
    print(f"{name}:")
    medians = {mark: statistics.median(run[mark] for run in runs if mark in run) for mark in runs[0]}
    for mark, seconds in sorted(medians.items(), key=lambda item: item[1]):
        print(f"  {seconds:6.2f} s  {mark}")
    return medians["first metric"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["RAY_AUTH_MODE"] = "disabled"  # so that the plain script can be submitted without a token
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = make_radio_dataset(folder / "radio", clips=400, seed=0)
        settings = Settings(
            home=folder / "home", port=next_free("127.0.0.1", 18001), dashboard_port=next_free("127.0.0.1", 18265)
        )
        node = NodeProcess(settings)
        try:
            record = node.start(hold=True, on_phase=lambda phase: None)
            platform, plain = [], []
            for _ in range(arguments.rounds):
                plain.append(through_ray_jobs(record, manifest, folder))
                platform.append(through_platform(record, manifest))
            ours, theirs = tell("platform", platform), tell("ray job submit", plain)
            print(f"first metric: platform {ours:.1f} s, plain {theirs:.1f} s, ratio {ours / theirs:.2f}")
        finally:
            node.stop()


if __name__ == "__main__":
    main()
