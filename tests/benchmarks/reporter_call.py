"""What one call of `reporter.metrics()` costs a training step, against the other ways to log a row.

    python -m tests.benchmarks.reporter_call

In one process and one run: our reporter (delivering to a real metrics actor on SQLite meanwhile), a plain
`actor.method.remote()`, TensorBoard's SummaryWriter, and MLflow's `log_metrics` (its SQLite store).
Each logs the same four values; between two calls the process works for a while, as a training step does.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray

from thornback.jobs.events import Attempt
from thornback.jobs.spec import parse_spec
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.port import NewJob
from thornback.metrics.reporter import open_reporter
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

VALUES = {"train_loss": 0.693, "train_accuracy": 0.5, "learning_rate": 1e-3, "gradient_norm": 1.7}
STEP_S = 0.0005  # 2000 steps a second: far faster than real training, so that deliveries fall between steps

Log = Callable[[int], object]


def measure(log: Log, calls: int) -> list[float]:
    """Microseconds of each call."""
    for n in range(20):
        log(n)
    taken = []
    for n in range(20, 20 + calls):
        ready = time.perf_counter() + STEP_S
        while time.perf_counter() < ready:
            pass
        started = time.perf_counter()
        log(n)
        taken.append((time.perf_counter() - started) * 1e6)
    return taken


@contextmanager
def thornback(folder: Path) -> Iterator[Log]:
    settings = Settings(home=folder, namespace=f"bench-{uuid.uuid4().hex[:8]}")
    upgrade(settings.database_url)
    handle = start_metrics_actor(settings)
    job_id = str(uuid.uuid4())
    spec = parse_spec({"job_name": "bench"}).model_dump(mode="json")
    new = NewJob(job_id=job_id, spec=spec, user="bench", at=datetime.now(UTC))
    asyncio.run(connect(settings).create(new))
    reporter = open_reporter(job_id, attempt=Attempt(1), rank=0, namespace=settings.namespace)
    calls = 0

    def log(n: int) -> None:
        nonlocal calls
        calls += 1
        reporter.metrics(epoch=0, batch=n, phase="train", values=VALUES)

    yield log
    started = time.perf_counter()
    assert reporter.close(60)
    flushed = (time.perf_counter() - started) * 1e3
    engine = open_engine(settings.database_url)
    rows = len(StoreReader(engine).metrics(job_id, level="step", limit=10**6))
    assert rows == calls
    print(f"  (all {rows} rows were in the database {flushed:.0f} ms after the last call)")
    engine.dispose()
    ray.kill(handle, no_restart=True)


@contextmanager
def plain_actor(folder: Path) -> Iterator[Log]:
    class Sink:
        def record(self, step: int, values: dict[str, float]) -> None:
            pass

    sink_class: Any = ray.remote(num_cpus=0)(Sink)
    sink = sink_class.remote()
    yield lambda n: sink.record.remote(n, VALUES)
    ray.kill(sink)


@contextmanager
def tensorboard(folder: Path) -> Iterator[Log]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(n: int) -> None:
        for name, value in VALUES.items():
            writer.add_scalar(name, value, n)

    yield log
    writer.close()


@contextmanager
def mlflow_store(folder: Path) -> Iterator[Log]:
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment("bench")
    log_metrics: Callable[..., object] = mlflow.log_metrics
    with mlflow.start_run():
        yield lambda n: log_metrics(VALUES, step=n)


def show(name: str, taken: list[float], ours: float | None) -> float:
    median = statistics.median(taken)
    p99 = statistics.quantiles(taken, n=100)[98]
    ratio = "" if ours is None else f"   {median / ours:8.1f} x the reporter"
    print(f"{name:<28} median {median:9.1f} µs   p99 {p99:9.1f} µs   worst {max(taken):9.1f} µs{ratio}")
    return median


def main() -> None:
    warnings.simplefilter("ignore")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=100 * 1024 * 1024,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with thornback(folder / "thornback") as log:
            taken = measure(log, 10_000)
        ours = show("reporter.metrics()", taken, None)
        with plain_actor(folder) as log:
            show("actor.method.remote()", measure(log, 5_000), ours)
        with tensorboard(folder / "tensorboard") as log:
            show("TensorBoard add_scalar x 4", measure(log, 5_000), ours)
        with mlflow_store(folder) as log:
            show("mlflow.log_metrics (SQLite)", measure(log, 300), ours)
    ray.shutdown()


if __name__ == "__main__":
    main()
