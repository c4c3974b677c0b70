"""A store on each engine, and short ways to fill it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.metrics.port import NewJob
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader
from thornback.store.write import StoreWriter

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
RUN = Attempt(1, 0)


@dataclass(frozen=True, slots=True)
class Store:
    """A migrated database with its writer and a reader."""

    url: str
    engine: sa.Engine  # the writer's
    writer: StoreWriter
    reader: StoreReader

    def create(
        self, name: str = "run", *, at: datetime = NOW, user: str = "ada", team: str | None = None, **fields: Any
    ) -> EventFactory:
        """A new job."""
        job_id = str(uuid.uuid4())
        self.writer.create(NewJob(job_id=job_id, spec=spec(name, **fields), user=user, team=team, at=at))
        return EventFactory(job_id)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def spec(name: str = "run", **fields: Any) -> dict[str, Any]:
    """A complete specification."""
    return parse_spec({"job_name": name, **fields}).model_dump(mode="json")


def job_id(make: EventFactory) -> str:
    """Whose events a factory makes."""
    return make.started(RUN, at=NOW).job_id


def epoch_row(make: EventFactory, epoch: int, values: Mapping[str, float | None] | None = None) -> JobEvent:
    """An epoch's own row."""
    values = {"val_loss": 1.0 / epoch} if values is None else values
    return make.metrics(epoch=epoch, batch=None, phase="val", values=values, at=NOW + timedelta(seconds=epoch))


def step_row(make: EventFactory, epoch: int, batch: int, phase: str = "train") -> JobEvent:
    """A row inside an epoch."""
    at = NOW + timedelta(seconds=epoch, milliseconds=batch)
    return make.metrics(epoch=epoch, batch=batch, phase=phase, values={"train_loss": 2.0 / (batch + 1)}, at=at)


def log_lines(make: EventFactory, seq: int, *lines: str, rank: int = 0) -> JobEvent:
    """One piece of a log."""
    return make.log(RUN, rank=rank, seq=seq, lines=list(lines), at=NOW + timedelta(seconds=seq))


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with our tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    template: Path = request.getfixturevalue("_sqlite_template")
    shutil.copy(template, tmp_path / "thornback.db")
    return f"sqlite:///{tmp_path / 'thornback.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("empty_postgres_url"))
    return f"sqlite:///{tmp_path / 'new' / 'thornback.db'}"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Open on that database."""
    engine = open_engine(database_url, writer=True)
    writer, reader = StoreWriter(engine), StoreReader(open_engine(database_url))
    yield Store(database_url, engine, writer, reader)
    writer.close()
    reader.close()
