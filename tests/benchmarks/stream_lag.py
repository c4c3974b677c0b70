"""Lag from a worker's report to a WebSocket client: p50 and p99 with 1, 100 and 500 clients.

    python -m tests.benchmarks.stream_lag [--clients 1 100 500] [--reports 60] [--haproxy]

The whole way: `Reporter.metrics` in this process, metrics actor, commit, replica of Ray Serve, Serve's
proxy, socket. A report carries its instant, as its loss; its lag for a client, in a process of its own on
the same machine, is the time until a `training_status` with that loss or a later one has arrived. Beside
it in the same run: the same application on uvicorn without Serve, and the design that polls the database
every 5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import multiprocessing
import os
import secrets
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any, cast

from fastapi import FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect

from serve_apps.api import views
from serve_apps.api.app import create_app
from serve_apps.api.context import Reads
from tests.fixtures.api import eventually, serving
from tests.fixtures.ray import free_port
from thornback.jobs.events import Attempt
from thornback.jobs.spec import parse_spec
from thornback.metrics.port import NewJob
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

POLL_S = 5.0  # of the design that this one replaces
REPORTS_PER_S = 4.0
REPLICAS = 1


class LeanClient(asyncio.Protocol):
    """A WebSocket client that only notes when messages arrive, so that 500 of them cost little."""

    def __init__(self, path: str, host: str, seen: list[tuple[float, float]], ready: Callable[[], None]) -> None:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._seen = seen  # (instant of the report, instant of its arrival)
        self._newest: float | None = None
        self._ready: Callable[[], None] | None = ready
        self._buffer = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        arrived = time.time()
        self._buffer += data
        if not self._is_open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                raise ConnectionError(head.decode(errors="replace"))
            self._is_open, self._buffer = True, rest
        while (frame := self._frame()) is not None:
            if self._ready is not None and b'"training_status"' in frame:
                self._ready()
                self._ready = None
            if b'"training_status"' in frame:
                reported = json.loads(frame)["metrics"]["train_loss"]
                if reported != self._newest:  # and no heartbeat
                    self._newest = reported
                    self._seen.append((reported, arrived))

    def _frame(self) -> bytes | None:
        """The payload of the next whole frame; servers do not mask (RFC 6455, 5.2)."""
        if len(self._buffer) < 2:
            return None
        length, start = self._buffer[1], 2
        if length == 126:
            length, start = int.from_bytes(self._buffer[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(self._buffer[2:10], "big"), 10
        if len(self._buffer) < start + length:
            return None
        frame, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
        return frame


Arrivals = list[list[tuple[float, float]]]


def listen(address: str, path: str | Sequence[str], clients: int, begun: Any, ended: Any) -> Arrivals:
    """Connect, say so, and note what arrives at each client until told that it is over. Runs in its own process.

    Of several paths the clients take one after the other.
    """
    paths = [path] if isinstance(path, str) else path

    async def run() -> Arrivals:
        seen: Arrivals = [[] for _ in range(clients)]
        ready = 0

        def one_more() -> None:
            nonlocal ready
            ready += 1

        host, port = address.split(":")
        loop = asyncio.get_running_loop()
        for start in range(0, clients, 50):  # a connection storm is another question
            some = seen[start : start + 50]
            for number, mine in enumerate(some, start):
                client = LeanClient(paths[number % len(paths)], address, mine, one_more)
                await loop.create_connection(lambda client=client: client, host, int(port))  # type: ignore[misc]
            wanted = start + len(some)
            await eventually(lambda wanted=wanted: ready >= wanted, within_s=60)  # type: ignore[misc]
        begun.set()
        await asyncio.to_thread(ended.wait)
        return seen

    return asyncio.run(run())


def lags_ms(reports: list[float], arrivals: list[tuple[float, float]]) -> Iterator[float]:
    """For each report the time until the client knew of it, or of a later one."""
    for report in reports:
        arrived = next((arrival for reported, arrival in arrivals if reported >= report), None)
        if arrived is not None:
            yield 1000 * (arrived - report)


def polling_app(reader: StoreReader) -> FastAPI:
    """The source's design: each connection asks the database every 5 s and sends the status."""
    app = FastAPI()
    read = Reads(reader)

    @app.websocket("/ws/training/{job_id}")
    async def poll(websocket: WebSocket, job_id: str) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                job = (await read(lambda store: store.job(job_id))).state
                status = views.status_message(job, event_id=0, now=datetime.now(UTC))
                await websocket.send_text(json.dumps(status, separators=(",", ":")))
                await asyncio.sleep(POLL_S)

    # Nobody asks it to shut down cleanly; `serving` looks for the hub all the same.
    app.state.context = type("Context", (), {"hub": type("Hub", (), {"close": lambda _: None})()})()
    return app


class Bench:
    """A platform on a Ray of its own."""

    def __init__(self, home: Path, port: int) -> None:
        import ray

        from thornback.metrics.actor import connect, start_metrics_actor

        self.settings = Settings(home=home, namespace=f"bench-{uuid.uuid4().hex[:8]}", port=port)
        upgrade(self.settings.database_url)
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
        start_metrics_actor(self.settings)
        self.recorder = connect(self.settings)
        self.reader = StoreReader(open_engine(self.settings.database_url))
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self.manager = multiprocessing.Manager()

    async def create(self) -> str:
        """A new job."""
        spec = parse_spec({"job_name": "lag"}).model_dump(mode="json")
        new = NewJob(job_id=str(uuid.uuid4()), spec=spec, user="bench", at=datetime.now(UTC))
        return (await self.recorder.create(new)).job.id

    async def measure(self, name: str, address: str, clients: int, reports: int) -> float:
        """Print a line; the median lag in milliseconds."""
        from thornback.metrics.reporter import open_reporter

        job_id = await self.create()
        reporter = open_reporter(job_id, attempt=Attempt(), rank=0, namespace=self.settings.namespace)
        begun, ended = self.manager.Event(), self.manager.Event()
        loop = asyncio.get_running_loop()
        listening = loop.run_in_executor(self.pool, listen, address, f"/ws/training/{job_id}", clients, begun, ended)
        await asyncio.to_thread(begun.wait)
        sent = []
        for batch in range(reports):
            sent.append(time.time())
            reporter.metrics(epoch=1, phase="train", values={"train_loss": sent[-1]}, batch=batch)
            # Off the beat, so that no rhythm of ours meets one of theirs.
            await asyncio.sleep((0.5 + secrets.randbelow(1000) / 1000) / REPORTS_PER_S)
        await asyncio.sleep(POLL_S + 1)  # the slowest design hears of the last report within this time
        ended.set()
        lags = [lag for mine in await listening for lag in lags_ms(sent, mine)]
        await asyncio.to_thread(reporter.close)
        cuts = quantiles(lags, n=100)
        lost = clients * reports - len(lags)
        print(f"{name:28} {clients:5} clients  p50 {cuts[49]:8.1f} ms  p99 {cuts[98]:8.1f} ms  lost {lost}")
        return cuts[49]


@contextlib.asynccontextmanager
async def on_serve(bench: Bench) -> AsyncIterator[str]:
    """The two applications on Ray Serve."""
    from ray import serve

    from serve_apps.api.deployment import live

    settings = bench.settings
    overrides = {"home": str(settings.home), "namespace": settings.namespace, "port": settings.port}
    http = {"host": "127.0.0.1", "port": settings.port}
    await asyncio.to_thread(serve.start, proxy_location="HeadOnly", http_options=http)
    application = live({"num_replicas": REPLICAS, "settings": overrides})
    await asyncio.to_thread(serve.run, application, name="live", route_prefix="/ws")
    try:
        yield f"127.0.0.1:{settings.port}"
    finally:
        shutdown: Any = serve.shutdown
        await asyncio.to_thread(shutdown)


async def run(bench: Bench, sizes: list[int], reports: int, proxy: str) -> None:
    """All measurements of one run."""
    polled: dict[int, float] = {}
    async with serving(polling_app(bench.reader)) as address:
        for clients in sizes:
            polled[clients] = await bench.measure("polling every 5 s", address, clients, reports)

    async def health() -> dict[str, Any]:
        return {}

    app = create_app(settings=bench.settings, reader=bench.reader, recorder=bench.recorder, dispatcher_health=health)
    async with serving(app) as address:
        for clients in sizes:
            await bench.measure("pushed, uvicorn alone", address, clients, reports)
    async with on_serve(bench) as address:
        for clients in sizes:
            pushed = await bench.measure(f"pushed, Ray Serve ({proxy})", address, clients, reports)
            print(f"{'':28} {polled[clients] / pushed:8.0f} times sooner than polling")


def main() -> None:
    """Print a line per design and number of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 100, 500])
    parser.add_argument("--reports", type=int, default=60)
    parser.add_argument("--haproxy", action="store_true", help="Serve's HAProxy mode instead of its Python proxy")
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if arguments.haproxy:
        os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"
    import ray

    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), free_port())
        try:
            asyncio.run(run(bench, arguments.clients, arguments.reports, "HAProxy" if arguments.haproxy else "default"))
        finally:
            bench.pool.shutdown()
            bench.manager.shutdown()
            ray.shutdown()


if __name__ == "__main__":
    main()
