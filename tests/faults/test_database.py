"""The database's machine fails: PostgreSQL crashes and comes back, the disk is full and is emptied."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.writing import Run, lost_or_doubled
from tests.fixtures.postgres import PostgresServer, running_postgres
from tests.unit.remote.rig import until
from thornback.metrics.local import LocalRecorder
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

RUNS, RESTARTS = 4, 3
DISK_BYTES = 6 << 20


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[list[Run]]:
    """Runs that report until the block ends; then what they were told is compared with what is there."""
    upgrade(settings.database_url)
    recorder = LocalRecorder.open(settings)
    await recorder.start()
    runs, over = [Run(recorder) for _ in range(RUNS)], asyncio.Event()
    for run in runs:
        await run.begin()
    tasks = [asyncio.create_task(run.report(over)) for run in runs]
    yield runs
    over.set()
    await asyncio.gather(*tasks)
    await recorder.close()
    reader = StoreReader(open_engine(settings.database_url))
    try:
        assert [finding for run in runs for finding in lost_or_doubled(run, reader)] == []
    finally:
        reader.close()


async def some_more(runs: list[Run], count: int = 20) -> None:
    """Until every run has had so many more epochs acknowledged."""
    marks = [run.acknowledged + count for run in runs]
    there = list(zip(runs, marks, strict=True))
    await until(lambda: all(run.acknowledged >= mark for run, mark in there), "epochs acknowledged", within_s=60)


@pytest.fixture
def durable_postgres() -> Iterator[PostgresServer]:
    """One whose commits are on the disk when it says so."""
    with running_postgres(durable=True) as server:
        yield server


@pytest.mark.slow
async def test_postgres_crashes_and_comes_back(durable_postgres: PostgresServer, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=durable_postgres.url("postgres"))
    async with writing(settings) as runs:
        for _ in range(RESTARTS):
            await some_more(runs)
            await asyncio.to_thread(durable_postgres.crash)
        await some_more(runs)
        assert all(run.acknowledged >= (RESTARTS + 1) * 20 for run in runs)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can make a small file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
async def test_the_disk_is_full_and_is_emptied(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(DISK_BYTES // 3))
    async with writing(Settings(home=small_disk)) as runs:
        await until(lambda: all(run.refused > 0 for run in runs), "the disk is full", within_s=60)
        ballast.unlink()
        await some_more(runs, 3)
