"""A replica of the API killed (-9) under 100 requests a second: how many fail, and how soon it is replaced.

    python -m tests.benchmarks.replica_kill [--rate 100] [--kills 3] [--replicas 2]

Through Ray Serve's proxy, with the deployment options of the platform. Twice: clients that send each request once, and
clients that send one again that was answered with 5xx or not at all. Every kill has 15 s.
Wanted: less than 1 % failed without retries, none with, and all replicas running again within 15 s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.benchmarks.api_load import serving
from tests.benchmarks.stream_lag import Bench
from tests.fixtures.api import JOBS
from tests.fixtures.ray import free_port

CLIENTS = 20
WINDOW_S = 15.0  # of one kill
PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # before each further try
NAME = "ServeReplica:api"


@dataclass
class Seen:
    """What became of the requests."""

    sent: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)  # when, and how
    slowest_s: float = 0.0


class Reader:
    """Somebody who reads a page of jobs, with connections that are kept."""

    def __init__(self, base: str, pauses_s: tuple[float, ...]) -> None:
        self._http = httpx2.AsyncClient(base_url=base, timeout=30, trust_env=False)
        self._pauses_s = pauses_s

    async def read(self, seen: Seen) -> None:
        """One request, with its further tries."""
        began, problem = time.monotonic(), ""
        for pause in (0.0, *self._pauses_s):
            await asyncio.sleep(pause)
            problem = await self._once()
            if not problem:
                break
        seen.sent += 1
        seen.slowest_s = max(seen.slowest_s, time.monotonic() - began)
        if problem:
            seen.failed.append((time.monotonic(), problem))

    async def _once(self) -> str:
        try:
            answer = await self._http.get(f"{JOBS}?limit=20")
        except httpx2.HTTPError as error:
            return type(error).__name__
        return "" if answer.status_code < 500 else str(answer.status_code)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()


async def load(readers: list[Reader], rate: float, seen: Seen, over: asyncio.Event) -> None:
    """So many requests a second from all together, whether those before were answered or not."""
    number, due = 0, time.monotonic()
    async with asyncio.TaskGroup() as group:
        while not over.is_set():
            group.create_task(readers[number % len(readers)].read(seen))
            number, due = number + 1, due + 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def replicas() -> list[psutil.Process]:
    """The processes of the API's replicas below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any(NAME in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue  # it ended while we looked
    return found


async def kill_one(wanted: int) -> float:
    """End a replica as a crash does. Returns the seconds until as many run again, by Serve's own word."""
    victim = replicas()[0]
    began = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    while True:
        await asyncio.sleep(0.1)
        running = await asyncio.to_thread(_running)
        if running >= wanted and not victim.is_running() and len(replicas()) >= wanted:
            return time.monotonic() - began


def _running() -> int:
    from ray import serve

    deployments = serve.status().applications["api"].deployments
    states: dict[Any, int] = next(iter(deployments.values())).replica_states
    return sum(count for state, count in states.items() if str(getattr(state, "value", state)) == "RUNNING")


async def phase(address: str, name: str, pauses_s: tuple[float, ...], arguments: argparse.Namespace) -> None:
    """Load and kills, and a line."""
    readers = [Reader(f"http://{address}", pauses_s) for _ in range(CLIENTS)]
    for reader in readers:
        await reader.read(Seen())
    seen, over, recovered = Seen(), asyncio.Event(), []
    loading = asyncio.create_task(load(readers, arguments.rate, seen, over))
    for _ in range(arguments.kills):
        began = time.monotonic()
        await asyncio.sleep(2)
        recovered.append(await kill_one(arguments.replicas))
        await asyncio.sleep(max(0.0, WINDOW_S - (time.monotonic() - began)))
    over.set()
    await loading
    how = sorted({problem for _, problem in seen.failed})
    share = 100 * len(seen.failed) / max(seen.sent, 1)
    print(
        f"{name:16} {seen.sent:6} sent  {len(seen.failed):4} failed ({share:.2f} %) {how or ''}  "
        f"slowest {seen.slowest_s:.1f} s  running again after {', '.join(f'{s:.1f}' for s in recovered)} s",
        flush=True,
    )
    for reader in readers:
        await reader.close()


async def run(bench: Bench, arguments: argparse.Namespace) -> None:
    """Both kinds of clients."""
    from ray import serve

    http = {"host": "127.0.0.1", "port": bench.settings.port}
    await asyncio.to_thread(serve.start, proxy_location="HeadOnly", http_options=http)
    async with serving(bench, arguments.replicas, rate_limit="off") as address:
        await phase(address, "without retries", (), arguments)
        await phase(address, "with retries", PAUSES_S, arguments)
    shutdown: Any = serve.shutdown
    await asyncio.to_thread(shutdown)


def main() -> None:
    """Print a line for each kind of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--replicas", type=int, default=2)
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
