"""Two thousand WebSocket clients over two replicas, which follow twenty jobs: lag, and memory of a client.

    python -m tests.benchmarks.many_streams [--clients 2000] [--jobs 20] [--replicas 2] [--seconds 30] [--haproxy]

Each job reports once a second, as a training with short steps does. The lag is that of `stream_lag`: from the report
to the socket, through the recorder, a replica of Ray Serve and its proxy. Memory is what the replicas and the proxy
have grown by, by the number of clients.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil

from tests.benchmarks.api_load import serving
from tests.benchmarks.stream_lag import Bench, lags_ms, listen
from tests.fixtures.ray import free_port
from thornback.jobs.events import Attempt

OPEN_FILES = 65_536
SERVES = ("ServeReplica", "ProxyActor", "haproxy")
LAST_S = 10.0  # for the last report to arrive


def memory_of_serve() -> dict[str, int]:
    """Bytes by kind of process."""
    found = dict.fromkeys(SERVES, 0)
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
            for name in SERVES:
                found[name] += process.memory_info().rss if name in command else 0
        except psutil.NoSuchProcess:
            continue
    return found


async def report(bench: Bench, job_id: str, seconds: float) -> list[float]:
    """Once a second, off the beat; the instants."""
    from thornback.metrics.reporter import open_reporter

    reporter = open_reporter(job_id, attempt=Attempt(), rank=0, namespace=bench.settings.namespace)
    sent: list[float] = []
    end = time.monotonic() + seconds
    await asyncio.sleep(secrets.randbelow(1000) / 1000)
    while time.monotonic() < end:
        sent.append(time.time())
        reporter.metrics(epoch=1, phase="train", values={"train_loss": sent[-1]}, batch=len(sent))
        await asyncio.sleep(0.5 + secrets.randbelow(1000) / 1000)
    await asyncio.sleep(LAST_S)
    await asyncio.to_thread(reporter.close)
    return sent


async def measure(bench: Bench, address: str, clients: int, jobs: int, seconds: float) -> None:
    """Connect, report, print."""
    job_ids = [await bench.create() for _ in range(jobs)]
    before = memory_of_serve()
    begun, ended = bench.manager.Event(), bench.manager.Event()
    loop, began = asyncio.get_running_loop(), time.monotonic()
    paths = [f"/ws/training/{job_id}" for job_id in job_ids]
    listening = loop.run_in_executor(bench.pool, listen, address, paths, clients, begun, ended)
    waiting = asyncio.ensure_future(asyncio.to_thread(begun.wait))
    await asyncio.wait((listening, waiting), return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        begun.set()
        listening.result()  # raises what stopped it
    print(f"{clients} clients connected in {time.monotonic() - began:.1f} s", flush=True)
    sent = await asyncio.gather(*(report(bench, job_id, seconds) for job_id in job_ids))
    after = memory_of_serve()
    ended.set()
    show(await listening, sent, {name: after[name] - before[name] for name in SERVES if after[name]})


def show(arrivals: Sequence[list[tuple[float, float]]], sent: Sequence[list[float]], grown: dict[str, int]) -> None:
    """The figures."""
    lags: list[float] = []
    wanted = 0
    for number, mine in enumerate(arrivals):
        reports = sent[number % len(sent)]
        wanted += len(reports)
        lags += lags_ms(reports, mine)
    cuts = quantiles(lags, n=100) if len(lags) > 1 else [0.0] * 99
    print(f"{len(lags)} messages  lag p50 {cuts[49]:.1f} ms  p99 {cuts[98]:.1f} ms  lost {wanted - len(lags)}")
    for name, size in grown.items():
        print(f"{name:14} {size / len(arrivals) / 1000:8.1f} kB a client ({size / 1e6:.0f} MB)")


async def run(bench: Bench, arguments: Any) -> None:
    """On Ray Serve."""
    from ray import serve

    http = {"host": "127.0.0.1", "port": bench.settings.port}
    await asyncio.to_thread(serve.start, proxy_location="HeadOnly", http_options=http)
    async with serving(bench, arguments.replicas, rate_limit="off", max_streams=arguments.clients) as address:
        await measure(bench, address, arguments.clients, arguments.jobs, arguments.seconds)
    shutdown: Any = serve.shutdown
    await asyncio.to_thread(shutdown)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--haproxy", action="store_true", help="Serve's HAProxy mode instead of its Python proxy")
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if arguments.haproxy:
        os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))
    import ray

    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), free_port())
        try:
            asyncio.run(run(bench, arguments))
        finally:
            bench.pool.shutdown()
            bench.manager.shutdown()
            ray.shutdown()


if __name__ == "__main__":
    main()
