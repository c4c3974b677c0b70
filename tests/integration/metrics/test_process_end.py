"""What a process reported just before it ended is in the database, however it ended."""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import ray

from tests.fixtures.ray import RayNode
from tests.integration.metrics.reporting_process import ROWS
from thornback.jobs.spec import parse_spec
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.port import NewJob
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader


@pytest.fixture
def settings(ray_node: RayNode, tmp_path: Path) -> Iterator[Settings]:
    settings = ray_node.settings(tmp_path)
    upgrade(settings.database_url)
    handle = start_metrics_actor(settings)
    yield settings
    ray.kill(handle, no_restart=True)


async def end(settings: Settings, job_id: str, way: str) -> tuple[int, str]:
    """Run the process to its end: exit code and stderr."""
    assert settings.ray_address is not None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.metrics.reporting_process"),
        *(settings.ray_address, settings.namespace, job_id, way),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    if way == "wait":
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while (await process.stdout.readline()).strip() != b"ready":
                assert process.returncode is None
        process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


async def test_what_was_said_last_arrives_however_the_process_ends(settings: Settings) -> None:
    recorder = connect(settings)
    engine = open_engine(settings.database_url)
    reader = StoreReader(engine)
    spec = parse_spec({"job_name": "radio"}).model_dump(mode="json")
    jobs = {}
    for way in ("exit", "raise", "thread", "wait"):
        jobs[way] = str(uuid.uuid4())
        await recorder.create(NewJob(job_id=jobs[way], spec=spec, user="ada", at=datetime.now(UTC)))
    ends = await asyncio.gather(*(end(settings, job_id, way) for way, job_id in jobs.items()))
    codes = dict(zip(jobs, (code for code, _ in ends), strict=True))
    assert codes["exit"] == codes["thread"] == 0
    assert codes["raise"] == 1
    assert codes["wait"] not in (0, None)
    for way, job_id in jobs.items():
        assert len(reader.metrics(job_id, level="step", limit=ROWS + 1)) == ROWS, way
        lines = [line for chunk in reader.logs(job_id) for line in chunk.lines]
        assert "the last words" in lines, way
    lines = [line for chunk in reader.logs(jobs["thread"]) for line in chunk.lines]
    assert lines[-1] == "RuntimeError: it went wrong"
    engine.dispose()
