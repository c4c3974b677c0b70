"""A platform with a past: many jobs, and a million rows of metrics, committed through StoreWriter."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import FailureReason
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.write import StoreWriter

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Attempt(1, 0)
STEPS_PER_EPOCH = 9  # and one row for the epoch itself
COMMIT_ROWS = 2000  # as settings.commit_rows


def seed(database_url: str, *, jobs: int = 10_000, metric_rows: int = 1_000_000) -> list[str]:
    """Fill a database; the ids of the jobs, the oldest first.

    Each job has the same share of the rows, except the newest, which has a twentieth of all.
    """
    upgrade(database_url)
    writer = StoreWriter(open_engine(database_url, writer=True))
    heavy = metric_rows // 20
    share = (metric_rows - heavy) // max(1, jobs - 1)
    job_ids = [str(uuid.UUID(int=(0x0190A000 << 96) | (7 << 76) | (2 << 62) | n)) for n in range(jobs)]
    events = (
        event
        for n, job_id in enumerate(job_ids)
        for event in _job(n, job_id, heavy if n == jobs - 1 else share, last=n >= jobs - 20)
    )
    while batch := list(islice(events, COMMIT_ROWS)):
        writer.commit(batch)
    writer.close()
    return job_ids


def _job(n: int, job_id: str, rows: int, *, last: bool) -> Iterator[JobEvent]:
    make = EventFactory(job_id)
    at = BEGIN + timedelta(minutes=n)
    epochs = max(1, rows // (STEPS_PER_EPOCH + 1))
    body = {"job_name": f"radio signals {n % 97} run {n}", "priority": n % 5, "config": {"epochs": min(epochs, 1000)}}
    user = ("ada", "bob", "eve")[n % 3]
    yield make.created(parse_spec(body).model_dump(mode="json"), user=user, at=at)
    yield make.scheduled(RUN, submission_id=f"thornback-{job_id}", at=at)
    yield make.started(RUN, at=at)
    facts = {"dataset_size": 1000, "train_samples": 800, "val_samples": 200, "class_names": ["CW", "AM", "FM", "SSB"]}
    yield make.described(RUN, facts, seq=0, at=at)
    for row in range(rows):
        yield metric_row(make, row, at + timedelta(seconds=row))
    percent = 99.0 * (n % 7 + 1) / 8
    yield make.progress(RUN, seq=1, percent=percent, epoch=epochs, total_epochs=epochs, eta_seconds=60.0, at=at)
    yield make.log(RUN, rank=0, seq=1, lines=[f"epoch {epoch} done" for epoch in range(10)], at=at)
    if last:
        return
    end = at + timedelta(hours=1)
    if n % 10 == 3:
        yield make.failed(RUN, reason=FailureReason.OUT_OF_MEMORY, message="CUDA out of memory", at=end)
    else:
        yield make.succeeded(RUN, at=end)


def metric_row(make: EventFactory, row: int, at: datetime) -> JobEvent:
    """Row `row` of a run: nine steps, then the epoch's own."""
    epoch, step = divmod(row, STEPS_PER_EPOCH + 1)
    loss = math.exp(-row / 500.0) + 0.1
    values: dict[str, float | None] = {"train_loss": loss, "learning_rate": 0.001, "gradient_norm": 1.5}
    if step < STEPS_PER_EPOCH:
        values |= {"train_accuracy": 1.0 - loss / 2, "images_per_second": 812.5}
        return make.metrics(epoch=epoch + 1, batch=step, phase="train", values=values, at=at)
    values |= {"val_loss": loss + 0.05, "val_accuracy": 1.0 - loss / 2}
    return make.metrics(epoch=epoch + 1, batch=None, phase="val", values=values, at=at)
