"""List, detail, charts and streams at 10,000 jobs and 1,000,000 metric rows: p50 and p99.

    python -m tests.benchmarks.store_queries [--jobs 10000] [--rows 1000000] [--postgres]

The ratio is to the same rows by the bare driver: its SQL alone, no objects made of them.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

import sqlalchemy as sa

from tests.benchmarks.seed import seed
from tests.fixtures.postgres import running_postgres
from thornback.jobs.status import JobStatus
from thornback.store.engine import open_engine
from thornback.store.page import JobQuery
from thornback.store.read import StoreReader

CALLS = 200


def measure(call: Callable[[], object]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    for _ in range(5):
        call()
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000.0)
    cuts = quantiles(times, n=100)
    return cuts[49], cuts[98]


def bare(engine: sa.Engine, call: Callable[[], object]) -> Callable[[], object]:
    """The statements of a call, by the driver alone."""
    sent: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, context: object, many: bool) -> None:
        sent.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    call()
    sa.event.remove(engine, "before_cursor_execute", note)
    selects = [item for item in sent if item[0].startswith("SELECT")]
    connection = engine.raw_connection()

    def run() -> None:
        for statement, parameters in selects:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            cursor.fetchall()
            cursor.close()

    return run


def calls(reader: StoreReader, job_ids: Sequence[str]) -> dict[str, Callable[[], object]]:
    """What the API's endpoints ask."""
    pick = random.Random(0)
    heavy = job_ids[-1]
    middle = reader.jobs(JobQuery(offset=len(job_ids) // 2, limit=50)).next_cursor
    newest = reader.latest_event_id()
    return {
        "list, newest 50": lambda: reader.jobs(JobQuery()),
        "list, page in the middle": lambda: reader.jobs(JobQuery(cursor=middle)),
        "list, offset to the middle": lambda: reader.jobs(JobQuery(offset=len(job_ids) // 2)),
        "list, status=running": lambda: reader.jobs(JobQuery(status=(JobStatus.RUNNING,))),
        "list, status=failed": lambda: reader.jobs(JobQuery(status=(JobStatus.FAILED,))),
        "list, user": lambda: reader.jobs(JobQuery(user="eve")),
        "list, part of a name": lambda: reader.jobs(JobQuery(name="signals 13 ")),
        "list, name not there": lambda: reader.jobs(JobQuery(name="nowhere")),
        "list, by progress": lambda: reader.jobs(JobQuery(sort="-progress")),
        "job": lambda: reader.job(pick.choice(job_ids)),
        "job and its last 10 epochs": lambda: (reader.job(heavy), reader.metrics(heavy, limit=10)),
        "100 epochs of many": lambda: reader.metrics(heavy, limit=100),
        "1000 steps of many": lambda: reader.metrics(heavy, level="step", limit=1000),
        "1000 events": lambda: reader.events(newest // 2),
        "100 events of a job": lambda: reader.events(0, job_id=pick.choice(job_ids), limit=100),
        "last 100 log lines": lambda: reader.logs(heavy, tail=100),
        "the dispatcher's active jobs": lambda: reader.active(),
    }


def report(url: str, jobs: int, rows: int) -> None:
    """Seed and print."""
    started = time.perf_counter()
    job_ids = seed(url, jobs=jobs, metric_rows=rows)
    print(f"{url.split(':', maxsplit=1)[0]}: {jobs:,} jobs and {rows:,} rows in {time.perf_counter() - started:.0f} s")
    writer = open_engine(url, writer=True)
    with writer.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    writer.dispose()
    engine = open_engine(url)
    reader = StoreReader(engine)
    # Without it p99 shows Python's collector walking every imported module. A server freezes them too.
    gc.collect()
    gc.freeze()
    print(f"{'':32}{'p50 ms':>9}{'p99 ms':>9}{'p50 / bare driver':>20}")
    for what, call in calls(reader, job_ids).items():
        p50, p99 = measure(call)
        floor, _ = measure(bare(engine, call))
        print(f"{what:32}{p50:9.2f}{p99:9.2f}{p50 / floor:20.1f}")
    reader.close()


def main() -> None:
    """SQLite, and PostgreSQL where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    if options.postgres:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(running_postgres())
            report(stack.enter_context(server.database()), options.jobs, options.rows)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report(f"sqlite:///{Path(folder) / 'thornback.db'}", options.jobs, options.rows)


if __name__ == "__main__":
    main()
