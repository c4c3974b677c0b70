"""100,000 rows from four processes, at up to 10,000 a second, while the metrics actor is killed five times."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import ray

from tests.benchmarks.recorder_rows import CALL_ROWS, rows
from tests.fixtures.api import eventually
from tests.fixtures.ray import RayNode
from thornback.errors import ThornbackError, Unavailable
from thornback.jobs.events import Attempt
from thornback.jobs.spec import parse_spec
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.names import METRICS_ACTOR
from thornback.metrics.port import NewJob, Recorder, Speaker
from thornback.metrics.sender import ActorSender
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

CALLERS, ROWS, KILLS, RATE = 4, 100_000, 5, 10_000.0
SPEC = parse_spec({"job_name": "storm"}).model_dump(mode="json")


class Caller:
    """A process that reports, and sends again what was not acknowledged."""

    def __init__(self, job_id: str, namespace: str, count: int) -> None:
        self._send = ActorSender(Speaker(job_id=job_id, attempt=Attempt(1)), namespace=namespace)
        self._rows = rows(job_id, count)
        self.acknowledged = 0

    def run(self, pause_s: float) -> int:
        """All of them, a call at most every `pause_s`; returns how many calls had to be repeated."""
        repeats = 0
        while self.acknowledged < len(self._rows):
            began = time.monotonic()
            try:
                self._send(self._rows[self.acknowledged : self.acknowledged + CALL_ROWS])
                self.acknowledged += CALL_ROWS
            except ThornbackError:
                repeats += 1
            time.sleep(max(0.0, pause_s - (time.monotonic() - began)))
        return repeats


@pytest.fixture
async def settings(ray_node: RayNode, tmp_path: Path) -> AsyncIterator[Settings]:
    settings = ray_node.settings(tmp_path)
    upgrade(settings.database_url)
    start_metrics_actor(settings)
    yield settings
    ray.kill(ray.get_actor(METRICS_ACTOR, namespace=settings.namespace), no_restart=True)


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_no_row_is_lost_or_doubled(settings: Settings) -> None:
    recorder = connect(settings)
    ids = [str(uuid.uuid4()) for _ in range(CALLERS)]
    for id in ids:
        await recorder.create(NewJob(job_id=id, spec=SPEC, user="ada", at=datetime.now(UTC)))
    caller_class: Any = ray.remote(num_cpus=0)(Caller)
    callers = [caller_class.remote(id, settings.namespace, ROWS // CALLERS) for id in ids]
    began = time.monotonic()
    runs = [caller.run.remote(CALL_ROWS * CALLERS / RATE) for caller in callers]
    for kill in range(KILLS):
        await kill_after(recorder, ROWS * (kill + 1) // (KILLS + 1))
    repeats = sum(await asyncio.to_thread(ray.get, runs))
    took_s = time.monotonic() - began

    engine = open_engine(settings.database_url)
    reader = StoreReader(engine)
    for id in ids:
        found = Counter((row.epoch, row.batch) for row in reader.metrics(id, level="step", limit=10**7))
        assert len(found) == ROWS // CALLERS
        assert set(found.values()) == {1}
    engine.dispose()
    for caller in callers:
        ray.kill(caller)
    print(f"\n{ROWS} rows in {took_s:.1f} s ({ROWS / took_s:.0f}/s), {KILLS} kills, {repeats} calls repeated")


async def kill_after(recorder: Recorder, rows: int) -> None:
    """kill -9 once so many events are in the database, and wait until another process answers."""
    killed: set[int] = set()

    async def is_killed() -> bool:
        with suppress(Unavailable):  # a busy machine
            health = await recorder.health()
            pid = int(health.details["pid"])
            if not killed and health.cursor >= rows:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            return bool(killed) and pid not in killed
        return False

    await eventually(is_killed, within_s=600)
