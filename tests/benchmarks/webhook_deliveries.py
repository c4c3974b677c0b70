"""10,000 webhooks, their repeats and 2,000 corrupted ones through Ray Serve, with a kill on the way.

    python -m tests.benchmarks.webhook_deliveries [--good 10000] [--bad 2000] [--at-once 50]
        [--databases sqlite postgres] [--haproxy] [--lean] [--no-kill]

Senders in a process of their own have 50 webhooks on their way at any time and send again what is answered
with 5xx or not at all. Half-way the metrics actor is killed (SIGKILL). Counted in the database afterwards:
ends of orders (exactly one each), deliveries that were acknowledged and are not there, corrupted ones that
are. Into SQLite and into PostgreSQL, both with commits on the disk. Beside it in the same run: the handler as
one writes it plainly (plain_webhook.py: one transaction per request, no actor) on uvicorn alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import quantiles
from typing import Any

import sqlalchemy as sa
import uvicorn

from tests.benchmarks.plain_webhook import count_plain, make_tables, plain_app
from tests.fixtures.api import eventually
from tests.fixtures.flood import SECRET, WHSEC, Mail, Order, Tally, count_effects, give_orders, send_all, write_mail
from tests.fixtures.postgres import running_postgres
from tests.fixtures.ray import free_port
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade

START_S = 60.0


def send(address: str, mail: list[Mail], at_once: int) -> Tally:
    """The senders' process."""
    return asyncio.run(send_all(address, mail, at_once=at_once))


def show(name: str, mail: list[Mail], tally: Tally, effects: dict[str, int]) -> float:
    """Print what came of it; deliveries per second."""
    rate = len(mail) / tally.seconds
    cuts = quantiles(tally.waits_ms, n=100)
    print(f"{name:34} {rate:7.0f} /s   p50 {cuts[49]:6.1f} ms   p99 {cuts[98]:7.1f} ms   in {tally.seconds:.1f} s")
    print(f"{'':34} {effects}, lost {tally.lost}, bad accepted {tally.bad_accepted}, sent again {tally.retries}")
    print(f"{'':34} {dict(sorted(tally.answers.items()))}")
    return rate


def serve_plain(database_url: str, port: int, orders: list[tuple[str, int]], ready: Queue[bool]) -> None:
    """The plain handler's process; it ends when it is terminated."""
    engine = open_engine(database_url, writer=True)
    make_tables(engine, orders)
    ready.put(True)
    uvicorn.run(plain_app(engine, SECRET), port=port, log_level="error")


@contextlib.contextmanager
def plain_server(database_url: str, orders: list[tuple[str, int]]) -> Iterator[str]:
    """Its address."""
    context = multiprocessing.get_context("spawn")
    port, ready = free_port(), context.Queue()
    process = context.Process(target=serve_plain, args=(database_url, port, orders, ready))
    process.start()
    try:
        ready.get(timeout=START_S)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


class Bench:
    """What all measurements share."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.proxy = "HAProxy" if arguments.haproxy else "default proxy"
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    async def compare(self, name: str, plain_url: str, our_url: str) -> None:
        """Both designs on one kind of database."""
        plain = await self.plain(f"{name}, plain handler, uvicorn", plain_url)
        ours = await self.ours(f"{name}, Ray Serve ({self.proxy})", our_url)
        print(f"{'':34} {ours / plain:.2f} times the plain handler")

    async def plain(self, name: str, url: str) -> float:
        """The handler as one writes it."""
        given = self.arguments
        orders = [(str(uuid.uuid4()), number % 1000 + 1) for number in range(given.good + given.bad)]
        mail = self.mail([Order(job_id=job_id, item=item) for job_id, item in orders])
        with plain_server(url, orders) as address:
            await _until_it_answers(address)
            tally = await self.send(address, mail)
        engine = sa.create_engine(open_engine(url).url)
        rate = show(name, mail, tally, count_plain(engine))
        engine.dispose()
        return rate

    async def ours(self, name: str, url: str) -> float:
        """Through Serve and the metrics actor, which dies half-way."""
        given = self.arguments
        settings = Settings(
            home=self.folder / uuid.uuid4().hex[:8],
            namespace=f"bench-{uuid.uuid4().hex[:8]}",
            port=free_port(),
            database_url=url,
            replicate_webhook_secrets=WHSEC,
        )
        upgrade(url)
        async with _platform(settings) as recorder:
            mail = self.mail(await give_orders(recorder, given.good + given.bad))
            sending = asyncio.create_task(self.send(f"127.0.0.1:{settings.port}", mail))
            if not given.no_kill:
                await self.kill_half_way(recorder, open_engine(url), given.good // 2)
            tally = await sending
            engine = open_engine(url)
            effects = count_effects(engine)
            engine.dispose()
        return show(name, mail, tally, effects)

    def mail(self, orders: list[Order]) -> list[Mail]:
        """What is to be sent, signed now."""
        return write_mail(orders, good=self.arguments.good, bad=self.arguments.bad)

    async def send(self, address: str, mail: list[Mail]) -> Tally:
        """From the senders' process."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, send, address, mail, self.arguments.at_once)

    async def kill_half_way(self, recorder: Any, engine: sa.Engine, wanted: int) -> None:
        """SIGKILL for the metrics actor once so many deliveries are there."""
        await eventually(lambda: count_effects(engine)["inbox"] >= wanted, within_s=600)
        pid = (await recorder.health()).details["pid"]
        os.kill(pid, signal.SIGKILL)
        engine.dispose()
        print(f"{'':34} killed the metrics actor, process {pid}")


@contextlib.asynccontextmanager
async def _platform(settings: Settings) -> AsyncIterator[Any]:
    """The metrics actor and the API on Ray Serve; the value is the recorder."""
    import ray
    from ray import serve

    from serve_apps.api.deployment import api
    from thornback.dispatch.actor import start_dispatcher
    from thornback.metrics.actor import connect, start_metrics_actor

    actors = [start_metrics_actor(settings), start_dispatcher(settings)]
    http = {"host": "127.0.0.1", "port": settings.port}
    shared = ("home", "namespace", "port", "database_url", "replicate_webhook_secrets")
    overrides = {name: getattr(settings, name) for name in shared} | {"home": str(settings.home)}
    await asyncio.to_thread(serve.start, proxy_location="HeadOnly", http_options=http)
    await asyncio.to_thread(serve.run, api({"settings": overrides}), name="api", route_prefix="/")
    try:
        yield connect(settings)
    finally:
        shutdown: Any = serve.shutdown
        await asyncio.to_thread(shutdown)
        for actor in actors:
            ray.kill(actor)


async def _until_it_answers(address: str) -> None:
    host, port = address.split(":")
    async with asyncio.timeout(START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def run(bench: Bench, databases: list[str]) -> None:
    """All of it."""
    if "sqlite" in databases:
        await bench.compare("SQLite", f"sqlite:///{bench.folder}/plain.db", f"sqlite:///{bench.folder}/ours.db")
    if "postgres" in databases:
        with running_postgres(durable=True) as postgres, postgres.database() as plain, postgres.database() as ours:
            await bench.compare("PostgreSQL", plain, ours)


def main() -> None:
    """Print a block per design and database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", type=int, default=10_000)
    parser.add_argument("--bad", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--haproxy", action="store_true", help="Serve's HAProxy mode instead of its Python proxy")
    parser.add_argument("--lean", action="store_true", help="RAY_SERVE_THROUGHPUT_OPTIMIZED: fewer threads a replica")
    parser.add_argument("--no-kill", action="store_true", help="leave the metrics actor alive")
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if arguments.lean:
        os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"
    if arguments.haproxy:
        os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"
    import ray

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
        try:
            asyncio.run(run(bench, arguments.databases))
        finally:
            bench.pool.shutdown()
            ray.shutdown()


if __name__ == "__main__":
    main()
