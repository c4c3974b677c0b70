"""A platform without its API: the two actors on a Ray that runs already, and what tests do with them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
from ray.util.state import list_actors

from thornback.backends.port import Phase, submission_id
from thornback.backends.ray_cluster import RayClusterBackend
from thornback.dispatch.actor import DISPATCHER_ACTOR, start_dispatcher
from thornback.errors import JobNotFound
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.names import METRICS_ACTOR
from thornback.metrics.port import NewJob, Recorder
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

ENTRY = {"convnext": "tests.integration.dispatch.entry"}
DEADLINE_S = 90.0


@dataclass
class Rig:
    """One platform."""

    settings: Settings
    dashboard: str | None = None
    entrypoints: Mapping[str, str] = field(default_factory=lambda: ENTRY)
    reader: StoreReader = field(init=False)
    recorder: Recorder = field(init=False)
    backend: RayClusterBackend = field(init=False)

    def start(self) -> Rig:
        """Bring the actors up; this process is connected to Ray already."""
        upgrade(self.settings.database_url)
        start_metrics_actor(self.settings)
        self.recorder = connect(self.settings)
        self.reader = StoreReader(open_engine(self.settings.database_url))
        self.backend = RayClusterBackend(self.settings, entrypoints=self.entrypoints)
        self.start_dispatcher()
        return self

    def start_dispatcher(self) -> None:
        """Or find the one that runs."""
        start_dispatcher(self.settings, entrypoints=self.entrypoints)

    async def schedule(self, job_id: str) -> None:
        """Write down that a job is to start, and do no more."""
        event = EventFactory(job_id).scheduled(Attempt(1), submission_id=submission_id(job_id, 1), at=datetime.now(UTC))
        await self.recorder.record([event])

    async def stop(self) -> None:
        """Take the actors down, and the drivers that still run."""
        self.end_actor(DISPATCHER_ACTOR)
        survey = await self.backend.survey()
        for key, state in survey.submissions.items():
            if state.phase.is_alive:
                await self.backend.stop(key)
        self.end_actor(METRICS_ACTOR)
        self.reader.close()

    def end_actor(self, name: str) -> None:
        """End an actor for good."""
        ray.kill(ray.get_actor(name, namespace=self.settings.namespace), no_restart=True)

    async def create(self, name: str, *, user: str = "ada", **choices: Any) -> str:
        """Make a job; `choices` are fields of the spec (tags, priority, max_retries) or of its config."""
        body: dict[str, Any] = {"job_name": name, "config": {"accelerator": "cpu", "epochs": 4, "pretrained": False}}
        for key, value in choices.items():
            (body if key in ("tags", "priority", "max_retries") else body["config"])[key] = value
        spec = parse_spec(body).model_dump(mode="json")
        job_id = str(uuid.uuid4())
        await self.recorder.create(NewJob(job_id=job_id, spec=spec, user=user, at=datetime.now(UTC)))
        return job_id

    async def cancel(self, job_id: str, *, delete: bool = False) -> None:
        """Ask for the end of a job, as the API does."""
        event = EventFactory(job_id).cancel_requested(user="ada", at=datetime.now(UTC), delete=delete)
        await self.recorder.record([event])

    def job(self, job_id: str) -> JobState:
        """As committed."""
        return self.reader.job(job_id).state

    async def until(
        self, job_id: str, holds: Callable[[JobState], object], *, within_s: float = DEADLINE_S
    ) -> JobState:
        """Wait until a job is as wanted."""
        job = self.job(job_id)
        deadline = time.monotonic() + within_s
        while not holds(job):
            assert time.monotonic() < deadline, f"after {within_s:g} s still {describe(job)}; {self.health()}"
            await asyncio.sleep(0.03)
            job = self.job(job_id)
        return job

    def place(self, job_id: str) -> int | None:
        """Of a waiting job in line; None before the dispatcher has written it down."""
        queue = self.reader.job(job_id).queue
        return None if queue is None else queue.position

    def exists(self, job_id: str) -> bool:
        """True while the job has a row."""
        try:
            self.job(job_id)
        except JobNotFound:
            return False
        return True

    def has_files(self, job_id: str) -> bool:
        """True while the job has a run folder."""
        return Path(self.settings.run_uri(job_id)).exists()

    async def phase(self, job: JobState) -> Phase:
        """Where the job's submission stands in Ray."""
        return (await self.backend.state(str(job.submission_id))).phase

    async def free_cpus(self) -> float:
        """That nobody holds."""
        return (await self.backend.survey()).free.cpus

    async def all_free(self, cpus: float = 4.0) -> bool:
        """True where nobody holds a CPU."""
        return await self.free_cpus() == cpus

    async def paused(self, folder: Path, name: str = "long", **choices: Any) -> JobState:
        """A running job that has its workers, is past its second epoch, and goes on when `open_gate` is called."""
        choices["tags"] = {"gate": str(folder / "gate")} | choices.get("tags", {})
        job_id = await self.create(name, **choices)
        return await self.until(job_id, lambda job: job.current_epoch >= 2 and job.fact("worker_pids"))

    def health(self) -> object:
        """What the dispatcher says of itself."""
        return ray.get(ray.get_actor(DISPATCHER_ACTOR, namespace=self.settings.namespace).health.remote(), timeout=10)

    def kinds(self, job_id: str) -> list[str]:
        """The kinds of the job's events, in order."""
        return [event.kind.value for event in self.reader.events(0, job_id=job_id)]

    def kill_actor(self, name: str) -> int:
        """SIGKILL the process of an actor; returns its pid."""
        pid = self.actor_pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    def actor_pid(self, name: str) -> int | None:
        """The process of an actor that runs."""
        filters: list[tuple[str, str, Any]] = [
            ("name", "=", name),
            ("ray_namespace", "=", self.settings.namespace),
            ("state", "=", "ALIVE"),
        ]
        found = list_actors(filters=filters, detail=True, address=self.dashboard)
        return found[0].pid if found else None


def describe(job: JobState) -> Mapping[str, Any]:
    """What a failed wait shows."""
    return {
        "status": job.status.value,
        "attempt": job.attempt,
        "reason": job.reason,
        "epoch": job.current_epoch,
        "error": job.error_message,
        "retry": job.retry_message,
    }


async def eventually(holds: Callable[[], bool | Awaitable[bool]], what: str, *, within_s: float = DEADLINE_S) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + within_s
    while True:
        held = holds()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.05)


def open_gate(folder: Path) -> None:
    """Let the paused jobs of this folder go on."""
    (folder / "gate").touch()


def pids(job: JobState) -> list[int]:
    """The processes of a run: driver and workers."""
    return [job.fact("driver_pid"), *job.fact("worker_pids")]


def is_alive(pid: int) -> bool:
    """True for a process that runs; a zombie has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
