"""Metric rows per second from callers in other processes through the metrics actor to the disk and back.

    python -m tests.benchmarks.recorder_rows [--rows 40000]

Each caller sends 500 rows a call and waits for the acknowledgement before the next, as a reporter does.
Beside it in the same run: the store's writer alone, without Ray, in batches of 2000; MLflow's `log_batch`
into its SQLite store with 200 rows (1000 values, the most that it takes) a call.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ray

from tests.fixtures.postgres import running_postgres
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.port import Ack, NewJob, Speaker
from thornback.metrics.sender import ActorSender
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader
from thornback.store.write import StoreWriter

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
VALUES = ("train_loss", "train_accuracy", "learning_rate", "gradient_norm", "images_per_second")
CALL_ROWS = 500
SPEC = parse_spec({"job_name": "bench"}).model_dump(mode="json")


def rows(job_id: str, count: int) -> list[JobEvent]:
    """Step rows with five values each."""
    factory = EventFactory(job_id)
    return [
        factory.metrics(
            epoch=n // 1000,
            batch=n % 1000,
            phase="train",
            values=dict.fromkeys(VALUES, 1.0 / (n + 1)),
            at=BEGIN + timedelta(milliseconds=n),
        )
        for n in range(count)
    ]


class Caller:
    """A process that reports."""

    def __init__(self, job_id: str, namespace: str, count: int) -> None:
        self._send = ActorSender(Speaker(job_id=job_id, attempt=Attempt(1)), namespace=namespace)
        self._rows = rows(job_id, count)

    def ready(self) -> bool:
        """The rows are made."""
        return bool(self._rows)

    def run(self) -> tuple[float, float, int]:
        """When it began and ended, and how many rows were committed."""
        began = time.time()
        acks: list[Ack] = [
            self._send(self._rows[start : start + CALL_ROWS]) for start in range(0, len(self._rows), CALL_ROWS)
        ]
        return began, time.time(), sum(ack.committed for ack in acks)


@contextmanager
def platform(url: str, folder: Path) -> Any:
    """A metrics actor on a database."""
    settings = Settings(home=folder, database_url=url, namespace=f"bench-{uuid.uuid4().hex[:8]}")
    upgrade(settings.database_url)
    handle = start_metrics_actor(settings)
    yield settings
    ray.kill(handle, no_restart=True)


def through_the_actor(settings: Settings, callers: int, count: int) -> float:
    """Rows per second of all callers together."""
    recorder = connect(settings)
    caller_class: Any = ray.remote(num_cpus=0)(Caller)
    started = []
    job_ids = [str(uuid.uuid4()) for _ in range(callers)]
    for job_id in job_ids:
        asyncio.run(recorder.create(NewJob(job_id=job_id, spec=SPEC, user="bench", at=BEGIN)))
        started.append(caller_class.remote(job_id, settings.namespace, count // callers))
    ray.get([caller.ready.remote() for caller in started])
    before = asyncio.run(recorder.health()).commits
    results: list[tuple[float, float, int]] = ray.get([caller.run.remote() for caller in started])
    commits = asyncio.run(recorder.health()).commits - before
    engine = open_engine(settings.database_url)
    kept = sum(len(StoreReader(engine).metrics(job_id, level="step", limit=10**7)) for job_id in job_ids)
    engine.dispose()
    total = sum(committed for _, _, committed in results)
    assert total == kept == count // callers * callers
    for caller in started:
        ray.kill(caller)
    print(f"    {callers} callers: {total} rows in {commits} commits")
    return total / (max(end for _, end, _ in results) - min(begin for begin, _, _ in results))


def writer_alone(url: str, count: int) -> float:
    """The ceiling: no Ray, one process, batches of 2000."""
    engine = open_engine(url, writer=True)
    writer = StoreWriter(engine)
    job_id = str(uuid.uuid4())
    writer.create(NewJob(job_id=job_id, spec=SPEC, user="bench", at=BEGIN))
    events = rows(job_id, count)
    began = time.perf_counter()
    for start in range(0, count, 2000):
        writer.commit(events[start : start + 2000])
    rate = count / (time.perf_counter() - began)
    engine.dispose()
    return rate


def mlflow_rows(folder: Path, count: int) -> float:
    """Rows of five values per second through MLflow's own client and store."""
    import mlflow
    from mlflow.entities import Metric

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    client: Any = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    run: str = client.create_run(client.create_experiment("bench")).info.run_id
    values = [Metric(name, 1.0 / (n + 1), n, n) for n in range(count) for name in VALUES]
    began = time.perf_counter()
    for start in range(0, len(values), 1000):
        client.log_batch(run, metrics=values[start : start + 1000])
    return count / (time.perf_counter() - began)


def show(name: str, rate: float, base: float) -> None:
    print(f"  {name:<34}{rate:10.0f} rows/s   {rate / base:8.2f} x MLflow")


def compare(name: str, url: str, folder: Path, count: int, mlflow_rate: float) -> None:
    print(name)
    with platform(url, folder) as settings:
        rates: Sequence[tuple[str, float]] = (
            ("actor, 1 caller", through_the_actor(settings, 1, count)),
            ("actor, 4 callers", through_the_actor(settings, 4, count)),
            ("the writer alone, without Ray", writer_alone(settings.database_url, count)),
        )
    for label, rate in rates:
        show(label, rate, mlflow_rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=40_000)
    count: int = parser.parse_args().rows
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=100 * 1024 * 1024,
    )
    with tempfile.TemporaryDirectory() as name, running_postgres(durable=True) as postgres:
        folder = Path(name)
        rate = mlflow_rows(folder, 2000)
        print("MLflow")
        show("log_batch, its SQLite store", rate, rate)
        compare("SQLite", f"sqlite:///{folder}/bench.db", folder, count, rate)
        with postgres.database() as url:
            compare("PostgreSQL", url, folder, count, rate)
    ray.shutdown()


if __name__ == "__main__":
    main()
