"""The jobs of a sweep's trials: made once each, whoever asks and however often, looked at, and ended early.

What was made is written down in the run's folder before it is made, so that the next attempt knows every job of every
trial, also where Ray Tune had not saved its own state.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import anyio
from pydantic import ValidationError

from thornback.artifacts.files import join, locate
from thornback.errors import JobNotFound, Unavailable
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.items import ItemStatus
from thornback.jobs.space import Parameters, Scalar
from thornback.jobs.spec import SweepSpec, invalid_input
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.jobs.sweep import FACT_RESULT, FACT_TRIAL
from thornback.jobs.trials import unit_of
from thornback.metrics.port import Curve, NewJob, Recorder

T = TypeVar("T")

JOURNAL = "trials.json"
USER = "sweep"  # whose wish it is that a trial ends early
AWAY_S = 600.0  # the recorder may be away for so long
LOOK_S = 0.5

_NAMESPACE = uuid.UUID("8f0c0c55-54f5-4f0e-8a39-0f5a6f3b7c02")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a trial goes on from: another one's checkpoint."""

    number: int
    reached: int
    value: float | None  # of the metric there
    uri: str


@dataclass(slots=True, kw_only=True)
class Record:
    """One trial, as the journal has it."""

    number: int
    parameters: dict[str, Scalar] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)  # the newest last
    made: bool = False  # the newest one; what was made and is gone was deleted
    refused: str | None = None  # it has no job, because its values do not go together


@dataclass(slots=True, kw_only=True)
class Best:
    """What a trial has come to."""

    value: float | None = None
    best_at: int | None = None
    last: float | None = None
    reached: int | None = None

    def see(self, at: int, value: float, mode: str) -> None:
        """Another value of the metric."""
        better = self.value is None or (value < self.value if mode == "min" else value > self.value)
        if better:
            self.value, self.best_at = value, at
        self.last, self.reached = value, at


class Children:
    """Asynchronous where it asks the recorder; the journal is shared by threads."""

    def __init__(self, *, recorder: Recorder, sweep: JobState, spec: SweepSpec, run_uri: str) -> None:
        self._recorder, self._sweep, self._spec = recorder, sweep, spec
        self._journal = locate(join(run_uri, JOURNAL))
        self._lock = threading.Lock()
        self.metric, self.mode = spec.config.metric, spec.config.mode
        self.records: dict[str, Record] = {}  # by Tune's id of the trial
        if self._journal.exists():
            known = json.loads(self._journal.read_bytes())
            self.records = {trial: Record(**record) for trial, record in known.items()}

    def record(self, trial: str) -> Record:
        """What is known of a trial; its number is the next one where nothing is."""
        with self._lock:
            return self.records.setdefault(trial, Record(number=len(self.records) + 1))

    def job_id(self, trial: str, parameters: Parameters, source: Source | None) -> str:
        """Of a trial's job, always the same for the same values and source."""
        content = json.dumps([trial, parameters, None if source is None else source.uri], sort_keys=True)
        return str(uuid.uuid5(_NAMESPACE, f"{self._sweep.id}:{hashlib.sha256(content.encode()).hexdigest()}"))

    async def create(self, trial: str, parameters: Parameters, source: Source | None) -> str:
        """Make a trial's job, or find it. Returns its id.

        Raises:
            InvalidInput: the values do not go together.
            QuotaExceeded: with SpendExceeded and BudgetSpent among them; there is no job then.
        """
        record = self.record(trial)
        job_id = self.job_id(trial, parameters, source)
        if record.made and record.jobs[-1:] == [job_id]:
            return job_id
        spec = self._specification(record.number, parameters)
        await self._note(record, job_id, parameters)
        at = datetime.now(UTC)
        new = NewJob(
            job_id=job_id,
            spec=spec,
            user=self._sweep.user,
            team=self._sweep.team,
            at=at,
            parent_id=self._sweep.id,
            resume_from=None if source is None else source.uri,
        )
        await _outlast(lambda: self._recorder.create(new))
        about = {
            "sweep": self._sweep.id,
            "number": record.number,
            "parameters": dict(parameters),
            "metric": self.metric,
            "mode": self.mode,
            "unit": self.unit(spec),
            "source": None if source is None else {"number": source.number, "at": source.reached},
        }
        make = EventFactory(job_id, voice="sweep")
        sent = self._item(record, ItemStatus.SENT, at, provider_id=job_id)
        await self._say(make.described(Attempt(), {FACT_TRIAL: about}, seq=0, at=at), sent)
        record.made = True
        self._write()
        return job_id

    async def look(self, job_id: str) -> JobState:
        """The job as it stands. Raises JobNotFound where somebody deleted it."""
        return await _outlast(lambda: self._recorder.job(job_id))

    async def curve(self, job: JobState, after: int) -> Curve:
        """What it measured after a cursor."""
        steps = self.unit(job.spec) == "step"
        return await _outlast(lambda: self._recorder.curve(job.id, self.metric, steps=steps, after=after))

    async def tell(self, job_id: str, best: Best, *, seq: int, ended: str | None = None, ask: bool = False) -> None:
        """Write down what a trial has come to, and why it ended early; `ask`: ask for that end as well."""
        at = datetime.now(UTC)
        result = {"value": best.value, "best_at": best.best_at, "last": best.last, "reached": best.reached}
        make = EventFactory(job_id, voice=f"sweep-{at.timestamp():.6f}")
        events = [make.described(Attempt(), {FACT_RESULT: {**result, "ended": ended}}, seq=seq, at=at)]
        if ask and ended is not None:
            events.append(EventFactory(job_id).ended_early(why=ended, user=USER, at=at))
        await self._say(*events)

    async def tell_end(self, trial: str, *, job: JobState | None, why: str | None = None) -> None:
        """Write down how a trial ended, for those who follow the sweep; without a job: its values are refused."""
        record = self.record(trial)
        if job is None:
            record.refused = why
            self._write()
            status = ItemStatus.FAILED
        elif job.status is JobStatus.COMPLETED:
            status = ItemStatus.SUCCEEDED
        else:
            status = ItemStatus.FAILED if job.status is JobStatus.FAILED else ItemStatus.CANCELLED
        words = why or (None if job is None else job.error_message or job.ended_early)
        job_id = None if job is None else job.id
        await self._say(self._item(record, status, datetime.now(UTC), provider_id=job_id, error=words))

    async def end(self, job_id: str, why: str) -> None:
        """Ask a job to end that has not ended. One that is gone, or asked already, is left alone."""
        with suppress(JobNotFound):
            job = await self.look(job_id)
            if not job.status.is_final and not job.cancel_requested:
                await self.tell(job_id, best_told(job), seq=0, ended=why, ask=True)

    def earlier_jobs(self, trial: str, job_id: str) -> list[str]:
        """The trial's jobs before this one."""
        return [known for known in self.record(trial).jobs if known != job_id]

    @staticmethod
    def unit(spec: Mapping[str, Any]) -> str:
        """What the rows of a trial are counted in."""
        return unit_of(str(spec["kind"]))

    def _specification(self, number: int, parameters: Parameters) -> dict[str, Any]:
        try:
            return self._spec.trial(number, parameters).model_dump(mode="json")
        except ValidationError as error:
            raise invalid_input(error) from None

    async def _note(self, record: Record, job_id: str, parameters: Parameters) -> None:
        with self._lock:
            if record.jobs[-1:] != [job_id]:
                record.jobs.append(job_id)
            record.parameters, record.made = dict(parameters), False
        self._write()
        await self._say(self._item(record, ItemStatus.INTENDED, datetime.now(UTC)))

    async def _say(self, *events: JobEvent) -> None:
        await _outlast(lambda: self._recorder.record(events))

    def _item(self, record: Record, status: ItemStatus, at: datetime, **facts: Any) -> JobEvent:
        order = max(1, len(record.jobs))
        return EventFactory(self._sweep.id).item(
            record.number, order=order, status=status.value, provider=USER, at=at, **facts
        )

    def _write(self) -> None:
        with self._lock:
            known = {
                trial: {
                    "number": record.number,
                    "parameters": record.parameters,
                    "jobs": record.jobs,
                    "made": record.made,
                    "refused": record.refused,
                }
                for trial, record in self.records.items()
            }
            self._journal.write_bytes(json.dumps(known).encode())


async def _outlast(call: Callable[[], Awaitable[T]]) -> T:
    """Call again while the recorder is away; every call of ours may be repeated. Raises Unavailable after a while."""
    give_up = time.monotonic() + AWAY_S
    while True:
        try:
            return await call()
        except Unavailable:
            if time.monotonic() > give_up:
                raise
        await anyio.sleep(LOOK_S)


def best_told(job: JobState) -> Best:
    """What was written down of a trial before."""
    told = job.fact(FACT_RESULT)
    if not isinstance(told, dict):
        return Best()
    return Best(**{name: told.get(name) for name in ("value", "best_at", "last", "reached")})
