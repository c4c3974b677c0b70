"""200 submissions at the same moment against a quota of money, again and again: never above it, and the sums agree.

    python -m tests.benchmarks.spend_race [--submissions 200] [--rounds 5] [--clients 4] [--servers 2]
        [--databases sqlite postgres]

Several API processes, each with a writer of its own, serve one database; several client processes send all
submissions of a round at once. Then what was admitted ends: with a cost that the provider told, with none, failed
or cancelled, and what that gives back is fought for in the next round. Meanwhile the ledger is added up every few
milliseconds. At the end the costs of the jobs, as the API lists them, are added up beside the ledger's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2
import sqlalchemy as sa
import uvicorn

from serve_apps.api.app import create_app
from tests.fixtures.postgres import running_postgres
from tests.fixtures.ray import free_port
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.status import FailureReason
from thornback.metrics.local import LocalRecorder
from thornback.settings import Quota, Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

LIMIT_USD = 20.0
JOBS = "/api/v1/training/jobs"
START_S = 60.0
SUM = sa.text("SELECT COALESCE(SUM(micro_usd), 0) FROM ledger")


@dataclass(kw_only=True)
class Outcome:
    """What a race came to; money in millionths of a dollar."""

    limit: int
    most: int = 0  # that the ledger ever came to
    looks: int = 0  # how often it was added up
    answers: Counter[int] = field(default_factory=Counter)
    waits_ms: list[float] = field(default_factory=list)
    needless: int = 0  # submissions that were refused although they would have fitted at the end of their round
    costs: int = 0  # of the jobs, as the API lists them
    ledger: int = 0
    report: int = 0  # as /reports/spend adds it up


def settings_of(database_url: str, home: Path) -> Settings:
    """All processes have the same."""
    quota = Quota(usd_day=LIMIT_USD, usd_month=LIMIT_USD)
    return Settings(home=home, database_url=database_url, fal_key="key", access="off", quota_user=quota)


def serve(database_url: str, home: str, port: int, ready: Queue[int]) -> None:
    """An API process with its own writer; it ends when it is terminated."""
    settings = settings_of(database_url, Path(home))
    recorder = LocalRecorder.open(settings)
    recorder.begin()

    async def health() -> dict[str, Any]:
        return {}

    reader = StoreReader(open_engine(database_url))
    app = create_app(settings=settings, reader=reader, recorder=recorder, dispatcher_health=health)
    ready.put(port)
    uvicorn.run(app, port=port, log_level="error")


@contextlib.contextmanager
def servers(count: int, database_url: str, home: str) -> Iterator[list[str]]:
    """Their addresses."""
    context = multiprocessing.get_context("spawn")
    ready: Queue[int] = context.Queue()
    processes = [
        context.Process(target=serve, args=(database_url, home, free_port(), ready), daemon=True) for _ in range(count)
    ]
    for process in processes:
        process.start()
    try:
        ports = [ready.get(timeout=START_S) for _ in processes]
        yield [f"http://127.0.0.1:{port}" for port in ports]
    finally:
        for process in processes:
            process.terminate()
            process.join()


def submit(addresses: list[str], count: int, seed: int, at: float) -> list[tuple[int, float, str, float]]:
    """A client's process: status, milliseconds, the job and its price of each, all sent at the time `at`."""
    return asyncio.run(_submit(addresses, count, random.Random(seed), at))


async def _submit(
    addresses: list[str], count: int, chance: random.Random, at: float
) -> list[tuple[int, float, str, float]]:
    async with contextlib.AsyncExitStack() as stack:
        limits = httpx2.Limits(max_connections=count)
        clients = [
            await stack.enter_async_context(httpx2.AsyncClient(base_url=address, timeout=120.0, limits=limits))
            for address in addresses
        ]

        async def one(number: int) -> tuple[int, float, str, float]:
            steps = chance.randint(1, 900)
            body = {
                "kind": "lora",
                "backend": "fal",
                "job_name": "fox",
                "config": {
                    "trainer": "flux-lora-fast",
                    "dataset": "https://x.example/d.zip",
                    "trigger_word": "fox",
                    "steps": steps,
                },
            }
            await asyncio.sleep(max(0.0, at - time.time()))
            begun = time.perf_counter()
            answer = await clients[number % len(clients)].post(JOBS, json=body)
            wait_ms = (time.perf_counter() - begun) * 1000.0
            told = answer.json()
            return answer.status_code, wait_ms, str(told.get("id", "")), float(told.get("wanted", steps * 0.002))

        return await asyncio.gather(*(one(number) for number in range(count)))


def ends(job_id: str, price: float, chance: random.Random) -> list[JobEvent]:
    """How an order ends: paid in part or in whole, told or not, failed or cancelled."""
    make, run, now = EventFactory(job_id), Attempt(), datetime.now(UTC)
    how = chance.randrange(5)
    cost = chance.random() * price
    told = [make.described(run, {"cost_usd": cost}, seq=1, at=now)]
    failed = make.failed(run, reason=FailureReason.PROVIDER_FAILED, message="no", at=now)
    return [
        [*told, make.succeeded(run, at=now)],
        [make.described(run, {"cost_usd": price}, seq=1, at=now), make.succeeded(run, at=now)],
        [failed],
        [*told, make.cancelled(at=now)],
        [make.cancelled(at=now), *told],  # the provider tells it late
    ][how]


class Watch:
    """Adds the ledger up again and again, as long as it goes on."""

    def __init__(self, database_url: str) -> None:
        self._engine, self._over = open_engine(database_url), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.most = self.looks = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        while not self._over.wait(0.003):
            self.most = max(self.most, total(self._engine))
            self.looks += 1


def total(engine: sa.Engine) -> int:
    """What the ledger comes to."""
    with engine.connect() as connection:
        return int(connection.execute(SUM).scalar_one())


def race(
    database_url: str, home: Path, *, submissions: int, rounds: int, client_count: int, server_count: int, seed: int = 1
) -> Outcome:
    """All of it."""
    upgrade(database_url)
    outcome = Outcome(limit=round(LIMIT_USD * 1_000_000))
    chance = random.Random(seed)
    engine = open_engine(database_url)
    pool = ProcessPoolExecutor(client_count, mp_context=multiprocessing.get_context("spawn"))
    with pool, servers(server_count, database_url, str(home)) as addresses, Watch(database_url) as watch:
        wait_for(addresses)
        for number in range(rounds):
            at = time.time() + (6.0 if number == 0 else 1.0)  # the clients' processes import first
            share = submissions // client_count
            calls = [
                pool.submit(submit, addresses, share, seed + number * client_count + client, at)
                for client in range(client_count)
            ]
            answers = [answer for call in calls for answer in call.result()]
            note(outcome, answers, room=outcome.limit - total(engine))
            admitted = [(job_id, price) for status, _, job_id, price in answers if status == 201]
            asyncio.run(end_all(settings_of(database_url, home), admitted, chance))
        outcome.costs, outcome.report = asyncio.run(added_up(addresses[-1]))
    outcome.most, outcome.looks, outcome.ledger = max(watch.most, total(engine)), watch.looks, total(engine)
    engine.dispose()
    return outcome


def note(outcome: Outcome, answers: list[tuple[int, float, str, float]], *, room: int) -> None:
    """Count a round."""
    outcome.answers.update(status for status, *_ in answers)
    outcome.waits_ms += [wait for _, wait, *_ in answers]
    outcome.needless += sum(status == 402 and round(price * 1e6) <= room for status, _, _, price in answers)


async def end_all(settings: Settings, admitted: list[tuple[str, float]], chance: random.Random) -> None:
    """By a writer beside those of the API, as the trackers' reports come."""
    recorder = LocalRecorder.open(settings)
    recorder.begin()
    await asyncio.gather(*(recorder.record(ends(job_id, price, chance)) for job_id, price in admitted))
    await recorder.close()


async def added_up(address: str) -> tuple[int, int]:
    """The costs of all jobs as they are listed, and the report of what was spent."""
    costs, cursor = 0, None
    async with httpx2.AsyncClient(base_url=address, timeout=60.0) as client:
        while True:
            params = {"limit": 500} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(JOBS, params=params)).json()
            costs += sum(round((job["cost_usd"] or 0.0) * 1e6) for job in page["jobs"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        rows = (await client.get("/api/v1/reports/spend", params={"by": "user"})).json()["rows"]
    return costs, sum(round(row["charged_usd"] * 1e6) + round(row["reserved_usd"] * 1e6) for row in rows)


def wait_for(addresses: list[str]) -> None:
    """Until all of them answer."""
    deadline = time.monotonic() + START_S
    for address in addresses:
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{address}/healthz").status_code == 200:
                    break
            if time.monotonic() > deadline:
                raise TimeoutError(address)
            time.sleep(0.05)


def show(name: str, outcome: Outcome) -> None:
    """Print the figures."""
    cuts = quantiles(outcome.waits_ms, n=100)
    admitted, refused = outcome.answers[201], outcome.answers[402]
    others = sum(outcome.answers.values()) - admitted - refused
    print(
        f"{name:10} {sum(outcome.answers.values())} submissions: {admitted} admitted, {refused} refused, {others} other"
    )
    print(f"{'':10} answers p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms; refused with room: {outcome.needless}")
    print(f"{'':10} limit {outcome.limit / 1e6:.6f} USD, most {outcome.most / 1e6:.6f} in {outcome.looks} looks")
    exact = outcome.costs == outcome.ledger == outcome.report
    print(
        f"{'':10} costs {outcome.costs / 1e6:.6f}, ledger {outcome.ledger / 1e6:.6f}, report {outcome.report / 1e6:.6f}"
    )
    print(f"{'':10} never above the limit: {outcome.most <= outcome.limit}; the sums agree: {exact}", flush=True)


def main() -> None:
    """Both databases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"])
    given = parser.parse_args()
    sizes = {
        "submissions": given.submissions,
        "rounds": given.rounds,
        "client_count": given.clients,
        "server_count": given.servers,
    }
    results = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spend-")))
        for name in given.databases:
            home = folder / name
            home.mkdir()
            url = f"sqlite:///{home / 'thornback.db'}"
            if name == "postgres":
                server = stack.enter_context(running_postgres(durable=True))
                url = stack.enter_context(server.database())
            outcome = race(url, home, **sizes)
            show(name, outcome)
            results[name] = {
                "most": outcome.most,
                "limit": outcome.limit,
                "costs": outcome.costs,
                "ledger": outcome.ledger,
            }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
