"""Metric rows committed per second, each row of five values: ours, the bare driver, MLflow, TensorBoard.

    python -m tests.benchmarks.store_rows [--rows 40000]

Ours and the bare drivers commit 2000 rows at a time, on the disk before they return. The bare driver
writes the same columns into one table without an index, without events, folding or deduplication: it
is the ceiling, not an alternative. MLflow logs to its own SQLite store, 1000 values a call, the most
that a call may hold; TensorBoard appends to its file and never waits for the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from tests.benchmarks.seed import BEGIN, COMMIT_ROWS, metric_row
from tests.fixtures.postgres import running_postgres
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.write import StoreWriter

JOBS = 4  # that train at once
_COLUMNS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "gradient_norm")


def rows_of(factories: Sequence[EventFactory], count: int) -> list[JobEvent]:
    """Rows of several jobs, mixed as they arrive."""
    each = range(count // len(factories))
    return [metric_row(make, row, BEGIN + timedelta(seconds=row)) for row in each for make in factories]


def batches(events: Sequence[JobEvent]) -> list[Sequence[JobEvent]]:
    """In the size of our commits."""
    return [events[start : start + COMMIT_ROWS] for start in range(0, len(events), COMMIT_ROWS)]


def timed(write: Callable[[Sequence[JobEvent]], None], events: Sequence[JobEvent]) -> float:
    """Rows per second."""
    parts = batches(events)
    started = time.perf_counter()
    for part in parts:
        write(part)
    return len(events) / (time.perf_counter() - started)


def ours(url: str, count: int) -> float:
    """Through StoreWriter."""
    upgrade(url)
    writer = StoreWriter(open_engine(url, writer=True))
    factories = [EventFactory(str(uuid.uuid4())) for _ in range(JOBS)]
    spec = parse_spec({"job_name": "run"}).model_dump(mode="json")
    writer.commit([make.created(spec, user="ada", at=BEGIN) for make in factories])

    def write(part: Sequence[JobEvent]) -> None:
        if len(writer.commit(part).events) != len(part):
            raise AssertionError("rows were lost")

    rate = timed(write, rows_of(factories, count))
    writer.close()
    return rate


def bare_sqlite(path: Path, count: int) -> float:
    """sqlite3.executemany into one table."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    names = ("at", "job", "epoch", "batch", "phase", *_COLUMNS)
    connection.execute(f"CREATE TABLE metrics ({', '.join(names)})")
    insert = f"INSERT INTO metrics VALUES ({', '.join('?' * len(names))})"

    def write(part: Sequence[JobEvent]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, [_flat(event) for event in part])
        connection.execute("COMMIT")

    rate = timed(write, rows_of([EventFactory(f"job {n}") for n in range(JOBS)], count))
    connection.close()
    return rate


def bare_postgres(url: str, count: int) -> float:
    """psycopg's executemany, which is a pipeline, into one table."""
    import psycopg

    with psycopg.connect(url) as connection:
        columns = ", ".join(f"{name} float8" for name in _COLUMNS)
        connection.execute(
            f"CREATE TABLE bare (at timestamptz, job text, epoch int, batch int, phase text, {columns})".encode()
        )
        connection.commit()
        insert = f"INSERT INTO bare VALUES ({', '.join(['%s'] * (5 + len(_COLUMNS)))})".encode()

        def write(part: Sequence[JobEvent]) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(insert, [(event.at, *_flat(event)[1:]) for event in part])
            connection.commit()

        return timed(write, rows_of([EventFactory(f"job {n}") for n in range(JOBS)], count))


def _flat(event: JobEvent) -> tuple[object, ...]:
    data = event.data
    values = (data["values"].get(name) for name in _COLUMNS)
    return (event.at.isoformat(), event.job_id, data["epoch"], data["batch"], data["phase"], *values)


def mlflow_sqlite(folder: Path, count: int) -> float:
    """MLflow's client on its SQLite store, without a server between them."""
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    run = client.create_run(client.create_experiment("benchmark")).info.run_id

    def write(part: Sequence[JobEvent]) -> None:
        metrics = [
            Metric(name, value, int(event.at.timestamp() * 1000), event.data["epoch"] * 10 + (event.data["batch"] or 9))
            for event in part
            for name, value in event.data["values"].items()
        ]
        for start in range(0, len(metrics), 1000):
            client.log_batch(run, metrics=metrics[start : start + 1000])

    return timed(write, rows_of([EventFactory("job")], count))


def tensorboard(folder: Path, count: int) -> float:
    """torch's SummaryWriter."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(part: Sequence[JobEvent]) -> None:
        for event in part:
            step = event.data["epoch"] * 10 + (event.data["batch"] or 9)
            for name, value in event.data["values"].items():
                writer.add_scalar(name, value, step)
        writer.flush()

    rate = timed(write, rows_of([EventFactory("job")], count))
    writer.close()
    return rate


def main() -> None:
    """Print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=40_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(running_postgres(durable=True))
        url = stack.enter_context(server.database())
        found = {
            "thornback, SQLite": ours(f"sqlite:///{folder / 'ours.db'}", count),
            "thornback, PostgreSQL": ours(url, count),
            "sqlite3, one table": bare_sqlite(folder / "bare.db", count),
            "psycopg, one table": bare_postgres(url, count),
            "MLflow, SQLite": mlflow_sqlite(folder, max(2000, count // 10)),
            "TensorBoard, file": tensorboard(folder, count),
        }
    print(f"{'':24}{'rows/s':>10}{'ours SQLite / it':>20}{'ours PostgreSQL / it':>22}")
    for what, rate in found.items():
        ratios = [found[own] / rate for own in ("thornback, SQLite", "thornback, PostgreSQL")]
        print(f"{what:24}{rate:10,.0f}{ratios[0]:20.2f}{ratios[1]:22.2f}")


if __name__ == "__main__":
    main()
