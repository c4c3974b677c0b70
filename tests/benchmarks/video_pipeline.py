"""Figure 3: from an address to a dataset in the storage, for a five-minute 1080p clip, with 1 worker and with 2.

    python -m tests.benchmarks.video_pipeline [--clip a] [--workers 1 2] [--rounds 1] [--folder DIR]

A job of kind `video_lora` on a Ray of so many cores, up to where it waits for the review of its dataset: the
queue, the driver's start, the fetch over HTTP from this machine, scenes and frames as Ray tasks, quality,
captions by template, and the files in a folder as storage. Each run has a home of its own, so nothing is in a
cache. Seconds of stages are between their events.

How it grows with nodes is told by a model, T(n) = S + P / n. P is the stage that finds scenes and chooses
frames, which is cut into pieces that no two workers share; S is all the rest from the fetch on. Both are taken
from the run with one worker; the runs with more workers check the model. For several machines S gets the time
in which each of them copies the video from the storage, at 1 Gbit/s.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from statistics import median

import ray

from tests.benchmarks.video_clips import default_folder, make
from tests.fixtures.api import eventually
from tests.fixtures.ray import running_ray
from thornback.dispatch.actor import DISPATCHER_ACTOR, start_dispatcher
from thornback.jobs.events import EventFactory, EventKind
from thornback.jobs.spec import parse_spec
from thornback.jobs.video_stages import VideoStage
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.names import METRICS_ACTOR
from thornback.metrics.port import NewJob
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

PATIENCE_S = 900.0
LINK_BYTES_S = 125e6
PARALLEL = (VideoStage.SCENES.value, VideoStage.FRAMES.value)
NODES = (1, 2, 4, 8, 16)
START = "queue and start of the driver"


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's address, by HTTP on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def run_job(settings: Settings, reader: StoreReader, address: str) -> dict[str, float]:
    """Seconds by stage, from the job's creation to its review."""
    recorder = connect(settings)
    config = {"video_url": address, "trigger_word": "sks", "review": True, "base_model": "never-loaded"}
    spec = parse_spec({"kind": "video_lora", "job_name": "figure 3", "backend": "ray", "config": config})
    job_id = str(uuid.uuid4())
    begun = datetime.now(UTC)
    await recorder.create(NewJob(job_id=job_id, spec=spec.model_dump(mode="json"), user="bench", at=begun))
    marks = [(START, begun)]
    async with asyncio.timeout(PATIENCE_S):
        while marks[-1][0] != VideoStage.REVIEW.value:
            await asyncio.sleep(0.1)
            if reader.job(job_id).state.final:
                raise SystemExit(f"the job ended: {reader.job(job_id).state}")
            events = reader.events(0, job_id=job_id)
            stages = [(str(one.data["name"]), one.at) for one in events if one.kind is EventKind.STAGE]
            marks = [marks[0], *(mark for mark in stages if mark[0] in set(VideoStage))]
    await recorder.record([EventFactory(job_id).cancel_requested(user="bench", at=datetime.now(UTC))])
    await eventually(lambda: reader.job(job_id).state.final is not None, within_s=PATIENCE_S)
    seconds: dict[str, float] = {}
    for (stage, at), (_, end) in pairwise(marks):
        seconds[stage] = seconds.get(stage, 0.0) + (end - at).total_seconds()
    return seconds


def pipeline(video: Path, workers: int) -> dict[str, float]:
    """One run on a Ray of its own."""
    with running_ray(cpus=workers) as (node, _), tempfile.TemporaryDirectory() as home, served(video.parent) as site:
        settings = node.settings(Path(home), fetch_allow="127.0.0.1")
        upgrade(settings.database_url)
        start_metrics_actor(settings)
        start_dispatcher(settings)
        reader = StoreReader(open_engine(settings.database_url))
        try:
            return asyncio.run(run_job(settings, reader, f"{site}/{video.name}"))
        finally:
            reader.close()
            for actor in (DISPATCHER_ACTOR, METRICS_ACTOR):
                ray.kill(ray.get_actor(actor, namespace=settings.namespace), no_restart=True)


def from_fetch(seconds: dict[str, float]) -> float:
    """Without the time until the driver runs, which has nothing to do with the video."""
    return sum(seconds.values()) - seconds[START]


def model(alone: dict[str, float], size_bytes: int, nodes: int) -> float:
    """Seconds from the fetch on, on that many workers; with a size, each on a machine of its own."""
    shared = sum(seconds for stage, seconds in alone.items() if stage in PARALLEL)
    return from_fetch(alone) - shared + shared / nodes + (size_bytes / LINK_BYTES_S if nodes > 1 else 0.0)


def main() -> None:
    """Run, print, predict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--clip", default="a", choices=["a", "b", "c", "a10", "b10"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=default_folder())
    given = parser.parse_args()
    path, truth = make(given.clip, given.folder)
    print(f"clip {given.clip}: {truth.frames / truth.fps:.0f} s, {path.stat().st_size / 1e6:.0f} MB")
    runs = {workers: [pipeline(path, workers) for _ in range(given.rounds)] for workers in given.workers}
    middles = {
        workers: {stage: median(run.get(stage, 0.0) for run in all_runs) for stage in all_runs[0]}
        for workers, all_runs in runs.items()
    }
    print(f"{'seconds':34}" + "".join(f"{f'{workers} workers':>12}" for workers in given.workers))
    for stage in middles[given.workers[0]]:
        print(f"{stage:34}" + "".join(f"{middles[workers].get(stage, 0.0):12.1f}" for workers in given.workers))
    print(f"{'fetch to dataset':34}" + "".join(f"{from_fetch(middles[workers]):12.1f}" for workers in given.workers))
    alone = middles[min(given.workers)]
    for workers in given.workers:
        told, true = model(alone, 0, workers), from_fetch(middles[workers])
        print(f"model at {workers}, one machine: {told:.1f} s, measured {true:.1f} s ({true / told - 1:+.0%})")
    print(
        "model, one worker on each machine: "
        + ", ".join(f"{n}: {model(alone, path.stat().st_size, n):.0f} s" for n in NODES)
    )


if __name__ == "__main__":
    main()
