"""A dispatcher over a real recorder and database, a backend in memory and a clock that tests turn."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.unit.dispatch.make import NOW
from thornback.backends.memory import MemoryBackend, Submission
from thornback.backends.port import Backend, Resources
from thornback.dispatch.dispatcher import Dispatcher
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import NewJob, QueuePlace
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader


class World:
    """A submission reports that it has started and then does what a test tells it."""

    def __init__(self, home: Path, *, nodes: Mapping[str, Resources] | None = None, **settings: Any) -> None:
        self.settings = Settings(home=home, **settings)
        upgrade(self.settings.database_url)
        self.recorder = LocalRecorder.open(self.settings)
        self.reader = StoreReader(open_engine(self.settings.database_url))
        self.now = NOW
        self._orders: dict[str, asyncio.Future[str]] = {}
        self.backend: MemoryBackend = MemoryBackend(self._entry, nodes=nodes or {"node": Resources(4.0)})
        self.dispatcher = self.new_dispatcher()

    def new_dispatcher(self, backend: Backend | None = None) -> Dispatcher:
        """As after a crash: it remembers nothing."""
        self.dispatcher = Dispatcher(
            recorder=self.recorder,
            reader=self.reader,
            backends=[backend or self.backend],
            settings=self.settings,
            now=lambda: self.now,
        )
        return self.dispatcher

    async def start(self) -> World:
        """Begin to record."""
        await self.recorder.start()
        return self

    async def close(self) -> None:
        """End everything."""
        await self.backend.close()
        await self.recorder.close()
        self.reader.close()

    async def tick(self, *, seconds: float = 0.0) -> None:
        """Let time pass, then look once, then let the submissions act."""
        self.now += timedelta(seconds=seconds)
        await self.dispatcher.tick()
        await self.settle()

    async def settle(self) -> None:
        """Wait until every submission that runs has reported its start."""
        for submission in list(self.backend.records.values()):
            if submission.task is not None and submission.state.phase.is_alive:
                await until(lambda name=submission.id: name in self._orders)  # type: ignore[misc]

    async def create(self, name: str, *, user: str = "ada", parent: str | None = None, **choices: Any) -> str:
        """A new job; `choices` are fields of the spec (max_retries, priority) or of its config."""
        body: dict[str, Any] = {"job_name": name, "config": {"accelerator": "cpu"}}
        for key, value in choices.items():
            (body if key in ("priority", "max_retries") else body["config"])[key] = value
        spec = parse_spec(body).model_dump(mode="json")
        self.now += timedelta(milliseconds=1)
        job_id = str(uuid.uuid4())
        await self.recorder.create(NewJob(job_id=job_id, spec=spec, user=user, at=self.now, parent_id=parent))
        return job_id

    async def running(self, name: str, **choices: Any) -> str:
        """A job that runs."""
        job_id = await self.create(name, **choices)
        await self.tick()
        assert self.job(job_id).status.value == "running"
        return job_id

    async def cancel(self, job_id: str, *, delete: bool = False) -> None:
        """As the API asks for it."""
        await self.recorder.record([EventFactory(job_id).cancel_requested(user="ada", at=self.now, delete=delete)])

    async def order(self, job_id: str, what: str) -> None:
        """Tell the job's submission to `succeed`, to `park`, to `leave` with exit code 0, or to end with a code."""
        name = str(self.job(job_id).submission_id)
        submission = self.backend.records[name]
        self._orders[name].set_result(what)
        assert submission.task is not None
        await submission.task

    def job(self, job_id: str) -> JobState:
        """As committed."""
        return self.reader.job(job_id).state

    def place(self, job_id: str) -> QueuePlace | None:
        """In the queue."""
        return self.reader.job(job_id).queue

    def kinds(self, job_id: str) -> list[str]:
        """What happened, in order."""
        return [event.kind.value for event in self.reader.events(0, job_id=job_id)]

    async def _entry(self, submission: Submission) -> int:
        events = EventFactory(submission.job.id)
        attempt = Attempt(submission.attempt)
        await self.recorder.record([events.started(attempt, at=self.now)])
        order: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._orders[submission.id] = order
        what = await order
        if what == "succeed":
            await self.recorder.record([events.succeeded(attempt, at=self.now)])
            return 0
        if what == "park":
            await self.recorder.record([events.parked(attempt, at=self.now)])
            return 0
        submission.lines.append("ValueError: negative loss")
        return 0 if what == "leave" else int(what)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is true; fail where that takes long."""
    async with asyncio.timeout(20):
        while True:
            if holds():
                return
            await asyncio.sleep(0.001)
