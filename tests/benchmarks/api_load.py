"""Requests per second and p99 of reads, creates and streams on 1 and 2 replicas, and what one attacker changes.

    python -m tests.benchmarks.api_load [--sockets 500] [--seconds 8] [--replicas 1 2]

Everything goes through Ray Serve's proxy, with 500 WebSocket clients on one job that reports five times a second.
Capacity: as many requests as 16 clients get answered, limits off. Attack: eight clients at half their limit, alone
and beside one that sends ten times its own: 20 reads a second, which is the default's mean without its minute's burst.
Each client has its own address, as a trusted proxy tells it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2

from tests.benchmarks.stream_lag import Bench, lags_ms, listen
from tests.fixtures.api import JOBS
from tests.fixtures.ray import free_port
from thornback.jobs.events import Attempt

LIMIT = "20/second"
READERS, CREATORS, POLITE = 16, 8, 8
POLITE_PER_S = 10.0
ATTACK_PER_S = 200.0  # ten times as many
ATTACKERS = 20  # connections of the one attacker
REPORTS_PER_S = 5
BODY = {"job_name": "load", "config": {"accelerator": "cpu", "devices": 32}}

Call = Callable[[], Awaitable[int]]


@dataclass
class Seen:
    """Answers of one kind."""

    waits_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def line(self, seconds: float) -> str:
        """Per second, p50, p99, refused."""
        cuts = quantiles(self.waits_ms, n=100) if len(self.waits_ms) > 1 else [0.0] * 99
        good = sum(count for status, count in self.statuses.items() if status < 300)
        others = {status: count for status, count in self.statuses.items() if status >= 300}
        return f"{good / seconds:8.1f}/s  p50 {cuts[49]:7.1f} ms  p99 {cuts[98]:7.1f} ms  not 2xx: {others or 0}"

    async def one(self, call: Call) -> None:
        """Send one request."""
        began = time.perf_counter()
        self.statuses[await call()] += 1
        self.waits_ms.append(1000 * (time.perf_counter() - began))


class Client:
    """Somebody with a key and an address."""

    def __init__(self, base: str, number: int) -> None:
        headers = {"Authorization": f"Bearer load-{number}", "X-Forwarded-For": f"198.51.100.{number}"}
        self._http = httpx2.AsyncClient(base_url=base, headers=headers, timeout=60, trust_env=False)

    async def read(self) -> int:
        """A page of jobs."""
        return (await self._http.get(f"{JOBS}?limit=20")).status_code

    async def create(self) -> int:
        """A job that waits for ever: no machine has so many CPUs."""
        return (await self._http.post(JOBS, json=BODY)).status_code

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()


async def as_fast_as_answered(calls: Sequence[Call], seconds: float) -> Seen:
    """Each call again as soon as it is answered."""
    seen, end = Seen(), time.monotonic() + seconds

    async def again(call: Call) -> None:
        while time.monotonic() < end:
            await seen.one(call)

    await asyncio.gather(*(again(call) for call in calls))
    return seen


async def at_a_rate(calls: Sequence[Call], per_s: float, seconds: float) -> Seen:
    """Each call so many times a second, whether the one before was answered or not."""
    seen, end = Seen(), time.monotonic() + seconds

    async def beat(call: Call) -> None:
        await asyncio.sleep(secrets.randbelow(1000) / 1000 / per_s)
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while due < end:
                group.create_task(seen.one(call))
                due += 1 / per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    await asyncio.gather(*(beat(call) for call in calls))
    return seen


class Streams:
    """500 sockets on a job that reports, in a process of their own; `lags` once they have ended."""

    def __init__(self, bench: Bench, address: str, sockets: int) -> None:
        self._bench, self._address, self._sockets = bench, address, sockets
        self.lags: list[float] = []
        self.lost = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connected, and reporting."""
        from thornback.metrics.reporter import open_reporter

        bench = self._bench
        job_id = await bench.create()
        reporter = open_reporter(job_id, attempt=Attempt(), rank=0, namespace=bench.settings.namespace)
        begun, ended = bench.manager.Event(), bench.manager.Event()
        path = f"/ws/training/{job_id}"
        loop = asyncio.get_running_loop()
        listening = loop.run_in_executor(bench.pool, listen, self._address, path, self._sockets, begun, ended)
        await asyncio.to_thread(begun.wait)
        sent: list[float] = []
        over = asyncio.Event()

        async def report() -> None:
            while not over.is_set():
                sent.append(time.time())
                reporter.metrics(epoch=1, phase="train", values={"train_loss": sent[-1]}, batch=len(sent))
                await asyncio.sleep((0.5 + secrets.randbelow(1000) / 1000) / REPORTS_PER_S)

        reporting = asyncio.create_task(report())
        yield
        over.set()
        await reporting
        await asyncio.sleep(2)
        ended.set()
        arrivals = await listening
        self.lags = [lag for mine in arrivals for lag in lags_ms(sent, mine)]
        self.lost = self._sockets * len(sent) - len(self.lags)
        await asyncio.to_thread(reporter.close)

    def line(self) -> str:
        """From the report to each socket."""
        cuts = quantiles(self.lags, n=100)
        return f"{len(self.lags):8} messages  p50 {cuts[49]:7.1f} ms  p99 {cuts[98]:7.1f} ms  lost {self.lost}"


@asynccontextmanager
async def serving(bench: Bench, replicas: int, **settings: Any) -> AsyncIterator[str]:
    """Both applications on Ray Serve."""
    from ray import serve

    from serve_apps.api.deployment import api, live

    own = bench.settings
    overrides = {"home": str(own.home), "namespace": own.namespace, "port": own.port, **settings}
    arguments = {"num_replicas": replicas, "settings": overrides}
    await asyncio.to_thread(serve.run, api(arguments), name="api", route_prefix="/")
    await asyncio.to_thread(serve.run, live(arguments), name="live", route_prefix="/ws")
    try:
        yield f"127.0.0.1:{own.port}"
    finally:
        for name in ("live", "api"):
            await asyncio.to_thread(serve.delete, name)


async def capacity(bench: Bench, replicas: int, sockets: int, seconds: float) -> None:
    """What it can do."""
    async with serving(bench, replicas, rate_limit="off") as address:
        clients = [Client(f"http://{address}", number) for number in range(READERS)]
        streams = Streams(bench, address, sockets)
        async with streams.open():
            reads = await as_fast_as_answered([client.read for client in clients], seconds)
            creates = await as_fast_as_answered([client.create for client in clients[:CREATORS]], seconds)
        print(f"{replicas} replicas, capacity   reads    {reads.line(seconds)}")
        print(f"{replicas} replicas, capacity   creates  {creates.line(seconds)}")
        print(f"{replicas} replicas, capacity   streams  {streams.line()}", flush=True)
        for client in clients:
            await client.close()


async def attack(bench: Bench, replicas: int, sockets: int, seconds: float) -> None:
    """What one client can do to the others."""
    limits = {"rate_limit": "on", "rate_limits": {"reads": LIMIT}, "trusted_proxies": ["127.0.0.0/8"]}
    async with serving(bench, replicas, **limits) as address:
        clients = [Client(f"http://{address}", number) for number in range(POLITE + 1)]
        polite, attacker = [client.read for client in clients[:POLITE]], clients[POLITE]
        for name in ("quiet", "attack"):
            streams = Streams(bench, address, sockets)
            async with streams.open():
                work = [at_a_rate(polite, POLITE_PER_S, seconds)]
                if name == "attack":
                    work.append(at_a_rate([attacker.read] * ATTACKERS, ATTACK_PER_S / ATTACKERS, seconds))
                seen = await asyncio.gather(*work)
            print(f"{replicas} replicas, {name:9}  polite   {seen[0].line(seconds)}")
            for their in seen[1:]:
                print(f"{replicas} replicas, {name:9}  attacker {their.line(seconds)}")
            print(f"{replicas} replicas, {name:9}  streams  {streams.line()}", flush=True)
        for client in clients:
            await client.close()


async def run(bench: Bench, arguments: argparse.Namespace) -> None:
    """All of it."""
    from ray import serve

    http = {"host": "127.0.0.1", "port": bench.settings.port}
    await asyncio.to_thread(serve.start, proxy_location="HeadOnly", http_options=http)
    for replicas in arguments.replicas:
        await capacity(bench, replicas, arguments.sockets, arguments.seconds)
        await attack(bench, replicas, arguments.sockets, arguments.seconds)
    shutdown: Any = serve.shutdown
    await asyncio.to_thread(shutdown)


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
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
