"""A backend inside this process: each submission is an asyncio task.

For tests of what stands on a backend, and for whoever wants to run coroutines as jobs. It keeps its
records as Ray does, and forgets them with the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from thornback.backends.port import (
    Backend,
    BackendState,
    Node,
    Phase,
    Resources,
    Survey,
    job_of,
    submission_id,
)
from thornback.errors import BackendError
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState

_NEW = BackendState(phase=Phase.PENDING)


@dataclass(slots=True, kw_only=True, eq=False)
class Submission:
    """One attempt of one job; what an entry is given."""

    job: JobState
    attempt: int
    lines: list[str] = field(default_factory=list)  # that it printed
    state: BackendState = _NEW
    holdings: Mapping[str, Resources] = field(default_factory=dict)  # by node id
    task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """The backend's id."""
        return submission_id(self.job.id, self.attempt)


# Runs an attempt and returns its exit code. An exception is printed and makes the code 1.
Entry = Callable[[Submission], Awaitable[int]]


class MemoryBackend(Backend):
    """Runs `entry` for every submission; takes what the job's spec asks for from its nodes meanwhile."""

    name = "ray"

    def __init__(self, entry: Entry, *, nodes: Mapping[str, Resources]) -> None:
        self._entry = entry
        self.nodes = dict(nodes)
        self.records: dict[str, Submission] = {}
        self.requested: tuple[Resources, ...] = ()  # what an autoscaler would have been asked for

    async def start(self, job: JobState, attempt: int) -> None:
        """See Backend."""
        submission = Submission(job=job, attempt=attempt)
        if submission.id in self.records:
            return
        self.records[submission.id] = submission
        submission.holdings = self._take(job)
        submission.task = asyncio.create_task(self._run(submission), name=submission.id)

    async def state(self, submission_id: str) -> BackendState:
        """See Backend."""
        submission = self.records.get(submission_id)
        return BackendState(phase=Phase.UNKNOWN) if submission is None else submission.state

    async def stop(self, submission_id: str) -> None:
        """See Backend."""
        self._end(submission_id, BackendState(phase=Phase.STOPPED))

    def kill(self, submission_id: str, *, exit_code: int = -9) -> None:
        """End a submission as if its process had been killed."""
        self._end(submission_id, BackendState(phase=Phase.FAILED, exit_code=exit_code))

    async def log_tail(self, submission_id: str, lines: int) -> str:
        """See Backend."""
        submission = self.records.get(submission_id)
        return "" if submission is None else "\n".join(submission.lines[-lines:])

    async def forget(self, job: JobState) -> None:
        """See Backend."""
        for key, submission in list(self.records.items()):
            if submission.job.id != job.id:
                continue
            if submission.state.phase.is_alive:
                raise BackendError(f"submission {key} has not ended", job_id=job.id)
            del self.records[key]

    async def survey(self) -> Survey:
        """See Backend."""
        return Survey(
            submissions={key: submission.state for key, submission in self.records.items() if job_of(key)},
            nodes=tuple(self._nodes()),
            holdings={
                key: sum(submission.holdings.values(), Resources())
                for key, submission in self.records.items()
                if submission.holdings
            },
        )

    async def request(self, bundles: Sequence[Resources]) -> None:
        """See Backend."""
        self.requested = tuple(bundles)

    async def close(self) -> None:
        """End everything and forget it, as a restart of the machine would."""
        for key in list(self.records):
            self.kill(key)
        tasks = [submission.task for submission in self.records.values() if submission.task is not None]
        self.records.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, submission: Submission) -> None:
        submission.state = BackendState(phase=Phase.RUNNING)
        try:
            code = await self._entry(submission)
        except Exception as error:  # noqa: BLE001 - an entry is foreign code; its error is what is recorded
            submission.lines.append(f"{type(error).__name__}: {error}")
            code = 1
        phase = Phase.SUCCEEDED if code == 0 else Phase.FAILED
        submission.state = BackendState(phase=phase, exit_code=code)
        submission.holdings = {}

    def _end(self, key: str, state: BackendState) -> None:
        submission = self.records.get(key)
        if submission is None or not submission.state.phase.is_alive:
            return
        submission.state, submission.holdings = state, {}
        if submission.task is not None:
            submission.task.cancel()

    def _take(self, job: JobState) -> dict[str, Resources]:
        has_gpu = any(total.gpus > 0 for total in self.nodes.values())
        request = parse_spec(job.spec).resources(cluster_has_gpu=has_gpu)
        bundle, left = Resources(request.cpus, request.gpus), request.workers
        taken: dict[str, Resources] = {}
        for node in self._nodes():
            free = node.free
            while left and free.cpus >= bundle.cpus and free.gpus >= bundle.gpus:
                free, left = free - bundle, left - 1
                taken[node.id] = taken.get(node.id, Resources()) + bundle
        return taken

    def _nodes(self) -> list[Node]:
        nodes = []
        for node_id, total in self.nodes.items():
            held = sum((each.holdings.get(node_id, Resources()) for each in self.records.values()), Resources())
            nodes.append(Node(id=node_id, total=total, free=total - held, held=held))
        return nodes
