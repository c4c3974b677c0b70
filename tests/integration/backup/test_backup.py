"""Taken while jobs come, write and are deleted; put into an empty place; every row is there with its file."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.api import ApiPlatform, Reports, api_on, now
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import join, locate
from thornback.backup.manifest import FILES, MANIFEST, read_manifest
from thornback.backup.restore import restore_backup
from thornback.backup.take import take_backup
from thornback.cli.exits import Exit
from thornback.cli.main import app
from thornback.dispatch.belongings import delete_files
from thornback.errors import ChecksumMismatch, Conflict, InvalidInput
from thornback.node.record import NodeFile
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.page import JobQuery
from thornback.store.read import StoreReader
from thornback.store.snapshot import has_rows

JOBS, DONE, DELETED = 12, 4, 4


@dataclass(frozen=True)
class Places:
    """One platform, where its backup goes, and an empty place for another."""

    old: Settings
    backup: str
    new: Settings


@pytest.fixture(params=["folder", "cloud"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    """SQLite and a folder; PostgreSQL and S3."""
    if request.param == "folder":
        old = Settings(home=tmp_path / "old", database_url=request.getfixturevalue("sqlite_url"))
        yield Places(old, str(tmp_path / "backup"), Settings(home=tmp_path / "new"))
        return
    s3: S3Server = request.getfixturevalue("s3")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    roots = [s3.uri(s3.make_bucket(), name) for name in ("runs", "backup", "moved")]
    with server.database() as empty:
        old = Settings(home=tmp_path / "old", database_url=request.getfixturevalue("postgres_url"), storage=roots[0])
        yield Places(old, roots[1], Settings(home=tmp_path / "new", database_url=empty, storage=roots[2]))


@asynccontextmanager
async def busy(settings: Settings) -> AsyncIterator[ApiPlatform]:
    """A platform on which jobs come, report, keep files and are deleted, until the block ends."""
    async with api_on(settings.database_url, settings.home, storage=settings.storage) as api:
        for number in range(DONE):
            job_id = await begin(api, number)
            await api.record(Reports(job_id).succeeded())
        over = asyncio.Event()
        churn = asyncio.create_task(_churn(api, over))
        yield api
        over.set()
        await churn


async def begin(api: ApiPlatform, number: int) -> str:
    """A job with a checkpoint: the file first and the row after it, as every run does it."""
    job = await api.create(f"job {number}", epochs=1000)
    await api.record(Reports(job.id).started())
    await keep(api, job.id, 1)
    return job.id


async def keep(api: ApiPlatform, job_id: str, epoch: int) -> None:
    """An epoch with a file of its own."""
    content = f"{job_id} {epoch}".encode() * 500
    uri = join(api.settings.run_uri(job_id), f"epoch{epoch}", "weights.bin")
    await asyncio.to_thread(locate(uri).write_bytes, content)
    reports = Reports(job_id)
    digest = hashlib.sha256(content).hexdigest()
    artifact = reports.artifact("checkpoint", uri, size_bytes=len(content), sha256=digest)
    await api.record(reports.epoch(epoch), artifact)


async def _churn(api: ApiPlatform, over: asyncio.Event) -> None:
    """New jobs, further epochs, old checkpoints that go, and deletions in the dispatcher's order: files, then rows."""
    chance = random.Random(7)
    epochs = {await begin(api, number): 1 for number in range(DONE, JOBS)}
    number, deleted = JOBS, 0
    while not over.is_set():
        job_id = chance.choice(list(epochs))
        if deleted < DELETED and chance.random() < 0.2:
            del epochs[job_id]
            deleted += 1
            await asyncio.to_thread(delete_files, api.settings, await api.recorder.job(job_id), ())
            await api.recorder.delete(job_id)
        elif number < 3 * JOBS and chance.random() < 0.3:
            epochs[await begin(api, number)] = 1
            number += 1
        elif max(epochs.values()) < 8:
            epochs[job_id] += 1
            await keep(api, job_id, epochs[job_id])
            old = join(api.settings.run_uri(job_id), f"epoch{epochs[job_id] - 1}", "weights.bin")
            await asyncio.to_thread(locate(old).delete_file)
        else:
            await asyncio.sleep(0.01)  # enough has happened; the backup is slower than we are


async def test_taken_while_jobs_run_and_put_elsewhere(places: Places) -> None:
    async with busy(places.old):
        manifest = await asyncio.to_thread(take_backup, places.old, places.backup, at=now())
    assert manifest.rows["training_jobs"] >= DONE

    restore_backup(places.new, places.backup)

    async with api_on(places.new.database_url, places.new.home, storage=places.new.storage) as new:
        jobs = [row.state for row in new.reader.jobs(JobQuery(limit=500)).jobs]
        assert len(jobs) == manifest.rows["training_jobs"]
        assert all("checkpoint" in job.artifacts for job in jobs if job.final)
        assert sum(job.final is not None for job in jobs) == DONE
        for job in jobs:
            epochs = [row.epoch for row in new.reader.metrics(job.id)]
            assert epochs == list(range(1, len(epochs) + 1))
            assert {latest.epoch for latest in job.latest.values()} == set(epochs[-1:])
            if (checkpoint := job.artifacts.get("checkpoint")) is not None:
                assert checkpoint.uri.startswith(new.settings.run_uri(job.id).partition("?")[0])
                content = locate(checkpoint.uri).read_bytes()
                assert hashlib.sha256(content).hexdigest() == checkpoint.sha256
        # It goes on: ids are given that were not given before.
        last = new.reader.latest_event_id()
        later = await begin(new, 100)
        assert min(event.id for event in new.reader.events(0, job_id=later)) > last


async def test_what_is_there_already_stays(places: Places) -> None:
    async with busy(places.old):
        await asyncio.to_thread(take_backup, places.old, places.backup, at=now())
    with pytest.raises(Conflict, match="not empty"):
        take_backup(places.old, places.backup, at=now())
    rows = _jobs(places.old)
    with pytest.raises(Conflict, match="rows already"):
        restore_backup(places.old, places.backup)
    locate(join(places.new.storage, "mine.txt")).write_bytes(b"mine")
    with pytest.raises(Conflict, match="files already"):
        restore_backup(places.new, places.backup)
    assert _jobs(places.old) == rows
    assert not has_rows(places.new.database_url)

    manifest = restore_backup(places.old, places.backup, replace=True)
    assert len(_jobs(places.old)) == manifest.rows["training_jobs"]


async def test_a_damaged_backup_changes_nothing(places: Places) -> None:
    async with busy(places.old):
        manifest = await asyncio.to_thread(take_backup, places.old, places.backup, at=now())
    file = locate(join(places.backup, FILES, manifest.files[-1].path))
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:10] + b"?" + whole[11:]):
        file.write_bytes(damaged)
        with pytest.raises(ChecksumMismatch, match="damaged"):
            restore_backup(places.new, places.backup)
    file.delete_file()
    with pytest.raises(ChecksumMismatch, match="lacks"):
        restore_backup(places.new, places.backup)
    locate(join(places.backup, MANIFEST)).delete_file()
    with pytest.raises(InvalidInput, match="never finished"):
        restore_backup(places.new, places.backup)
    assert not has_rows(places.new.database_url)
    assert locate(places.new.storage).files() == []


async def test_a_file_that_was_lost_before_is_named(api: ApiPlatform, tmp_path: Path) -> None:
    job_id = await begin(api, 1)
    checkpoint = (await api.recorder.job(job_id)).artifacts["checkpoint"]
    locate(checkpoint.uri).delete_file()
    manifest = await asyncio.to_thread(take_backup, api.settings, str(tmp_path / "backup"), at=now())
    assert manifest.absent == (f"{job_id}/epoch1/weights.bin",)

    new = Settings(home=tmp_path / "new")
    restore_backup(new, str(tmp_path / "backup"))
    reader = StoreReader(open_engine(new.database_url))
    assert reader.job(job_id).state.artifacts == {}
    reader.close()


def test_another_kind_of_database(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    take_backup(Settings(home=tmp_path / "old", database_url=sqlite_url), str(tmp_path / "backup"), at=now())
    with pytest.raises(Conflict, match="one of sqlite"):
        restore_backup(Settings(home=tmp_path / "new", database_url=postgres_url), str(tmp_path / "backup"))


def test_into_the_storage_itself(sqlite_url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "old", database_url=sqlite_url)
    with pytest.raises(Conflict, match="copied into itself"):
        take_backup(settings, str(tmp_path / "old" / "runs" / "backup"), at=now())


def test_the_commands(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words, "--json"])
        return done.exit_code, done.stdout

    monkeypatch.setenv("THORNBACK_HOME", str(tmp_path))
    code, told = run("backup", str(tmp_path / "backup"))
    assert code == Exit.OK
    assert json.loads(told)["files"] == 0
    assert read_manifest(locate(str(tmp_path / "backup"))).dialect == "sqlite"

    monkeypatch.setenv("THORNBACK_HOME", str(tmp_path / "new"))
    node = NodeFile(tmp_path / "new")
    node.acquire()
    assert run("restore", str(tmp_path / "backup"))[0] != Exit.OK  # the platform runs
    node.release()
    code, told = run("restore", str(tmp_path / "backup"))
    assert (code, json.loads(told)["absent"]) == (Exit.OK, [])


def _jobs(settings: Settings) -> list[str]:
    reader = StoreReader(open_engine(settings.database_url))
    try:
        return sorted(row.state.id for row in reader.jobs(JobQuery(limit=500)).jobs)
    finally:
        reader.close()
