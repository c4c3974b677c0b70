"""List, detail and chart endpoints at 10,000 jobs and 1,000,000 metric rows: p50 and p99 over HTTP.

    python -m tests.benchmarks.api_latency [--jobs 10000] [--rows 1000000] [--postgres]

The server is uvicorn in a process of its own. Beside each endpoint, in the same run: its query alone in
this process, and an endpoint that does nothing, which is what HTTP itself costs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import quantiles

import httpx2

from tests.benchmarks.seed import seed
from tests.fixtures.api import JOBS, ApiPlatform, api_on, serving
from tests.fixtures.postgres import running_postgres
from thornback.jobs.status import JobStatus
from thornback.store.engine import open_engine
from thornback.store.page import JobQuery
from thornback.store.read import StoreReader

CALLS = 300
START_S = 60.0


def serve(database_url: str, home: str, addresses: Queue[str]) -> None:
    """The server's process; it ends when it is terminated."""

    async def run() -> None:
        platform: ApiPlatform
        async with api_on(database_url, Path(home)) as platform, serving(platform.app()) as address:
            addresses.put(address)
            await asyncio.Event().wait()

    asyncio.run(run())


@contextlib.contextmanager
def server(database_url: str, home: str) -> Iterator[str]:
    """Its address."""
    context = multiprocessing.get_context("spawn")
    addresses: Queue[str] = context.Queue()
    process = context.Process(target=serve, args=(database_url, home, addresses))
    process.start()
    try:
        yield addresses.get(timeout=START_S)
    finally:
        process.terminate()
        process.join()


def measure(call: Callable[[], object]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    for _ in range(10):
        call()
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000.0)
    cuts = quantiles(times, n=100)
    return cuts[49], cuts[98]


def main() -> None:
    """Print a line per endpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite:///{home}/bench.db"
        if arguments.postgres:
            url = stack.enter_context(stack.enter_context(running_postgres()).database())
        job_ids = seed(url, jobs=arguments.jobs, metric_rows=arguments.rows)
        print(f"{arguments.jobs} jobs, {arguments.rows} metric rows, {url.partition(':')[0]}; milliseconds")
        reader = StoreReader(open_engine(url))
        heavy, middle = job_ids[-1], job_ids[len(job_ids) // 2]
        far = arguments.jobs - 60
        cases: list[tuple[str, str, Callable[[], object] | None]] = [
            ("nothing", "/healthz", None),
            ("list, newest 50", JOBS, lambda: reader.jobs(JobQuery())),
            ("list, running", f"{JOBS}?status=running", lambda: reader.jobs(JobQuery(status=(JobStatus.RUNNING,)))),
            ("list, by part of a name", f"{JOBS}?name=signals+7", lambda: reader.jobs(JobQuery(name="signals 7"))),
            ("list, last page by offset", f"{JOBS}?offset={far}", lambda: reader.jobs(JobQuery(offset=far))),
            ("detail, common job", f"{JOBS}/{middle}", lambda: (reader.job(middle), reader.metrics(middle, limit=20))),
            ("detail, heaviest job", f"{JOBS}/{heavy}", lambda: (reader.job(heavy), reader.metrics(heavy, limit=20))),
            ("chart, 1000 epochs", f"{JOBS}/{heavy}/metrics", lambda: reader.metrics(heavy)),
            ("chart, 100 steps", f"{JOBS}/{middle}/metrics?level=step", lambda: reader.metrics(middle, level="step")),
        ]
        address = stack.enter_context(server(url, home))
        client = stack.enter_context(httpx2.Client(base_url=f"http://{address}", timeout=30))
        print(f"{'endpoint':28} {'p50':>8} {'p99':>8} {'query p50':>10} {'ratio':>6} {'bytes':>8}")
        for name, path, query in cases:
            answer = client.get(path).raise_for_status()
            p50, p99 = measure(lambda path=path: client.get(path))  # type: ignore[misc]
            alone = measure(query)[0] if query else None
            beside = f"{alone:10.2f} {p50 / alone:6.1f}" if alone else f"{'-':>10} {'-':>6}"
            print(f"{name:28} {p50:8.2f} {p99:8.2f} {beside} {len(answer.content):8}")


if __name__ == "__main__":
    main()
