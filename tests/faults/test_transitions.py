"""Eight writers race over the same jobs: every change of a state is a legal one, and each job has one end."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import NewJob
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

JOBS, WRITERS, LEAST = 170, 8, 10_000
SPEC = parse_spec({"job_name": "race", "config": {"epochs": 9}}).model_dump(mode="json")
_ENDS = {"succeeded": JobStatus.COMPLETED, "failed": JobStatus.FAILED, "cancelled": JobStatus.CANCELLED}


def script(job_id: str, voice: str, chance: random.Random) -> list[JobEvent]:
    """What one writer says about a job, in any order and with an end of its own."""
    make, at = EventFactory(job_id, voice=voice), datetime.now(UTC)
    attempt = Attempt(chance.randint(1, 3), chance.randint(0, 1))
    told = [
        make.pending(attempt, reason=f"waiting for {chance.randint(1, 4)} CPUs", at=at),
        make.scheduled(attempt, submission_id=f"{job_id}-{attempt.number}", at=at),
        make.started(attempt, at=at),
        make.cancel_requested(user=voice, at=at),
        make.retried(attempt, reason=FailureReason.WORKER_LOST, message="lost", at=at),
        *(
            make.progress(attempt, seq=n, percent=chance.uniform(0, 99), epoch=n, total_epochs=9, eta_seconds=9, at=at)
            for n in range(1, 6)
        ),
        chance.choice(
            [
                make.succeeded(attempt, at=at),
                make.failed(attempt, reason=FailureReason.EXCEPTION, message=voice, at=at),
                make.cancelled(at=at),
            ]
        ),
    ]
    chance.shuffle(told)
    return told


def wrong(before: JobState, after: JobState) -> str | None:
    """Why a job may not go from one state to the other; None where it may."""
    if before.final is not None:
        same = (before.final, before.failure, before.error_message, before.completed_at, before.status)
        return (
            None
            if same == (after.final, after.failure, after.error_message, after.completed_at, after.status)
            else "end"
        )
    if after.mark < before.mark:
        return "it went back to an earlier run"
    if after.progress < before.progress or after.current_epoch < before.current_epoch:
        return "its progress went back"
    if before.cancel_requested and not after.cancel_requested:
        return "a cancel was forgotten"
    return None


class Watcher:
    """Follows the stream, as every client does."""

    def __init__(self, recorder: LocalRecorder, cursor: int) -> None:
        self._recorder, self._cursor = recorder, cursor
        self.states: dict[str, JobState] = {}
        self.transitions = 0
        self.ends: dict[str, list[JobStatus]] = defaultdict(list)
        self.illegal: list[str] = []

    async def follow(self, over: asyncio.Event) -> None:
        """Until all is told."""
        while True:
            is_last = over.is_set()
            page = await self._recorder.poll(self._cursor, timeout_s=0.2, limit=10_000)
            assert not page.catch_up
            self._cursor = page.cursor
            for event in page.events:
                self.transitions += 1
                if event.kind.value in _ENDS:
                    self.ends[event.job_id].append(_ENDS[event.kind.value])
                if event.job is not None:
                    before = self.states.get(event.job_id)
                    if before is not None and (why := wrong(before, event.job)) is not None:
                        self.illegal.append(f"{event.job_id}: {before.status} -> {event.job.status}: {why}")
                    self.states[event.job_id] = event.job
            if is_last and not page.events:
                return


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_eight_writers_make_no_illegal_transition(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, buffer_events=50_000)
    upgrade(settings.database_url)
    recorder = LocalRecorder.open(settings)
    await recorder.start()
    watcher, over = Watcher(recorder, (await recorder.poll(-1, timeout_s=1)).cursor), asyncio.Event()
    watching = asyncio.create_task(watcher.follow(over))
    ids = [str(uuid.uuid4()) for _ in range(JOBS)]
    for id in ids:
        await recorder.create(NewJob(job_id=id, spec=SPEC, user="ada", at=datetime.now(UTC)))

    async def write(number: int) -> None:
        chance = random.Random(number)
        told = [event for id in ids for event in script(id, f"writer-{number}", chance)]
        # Neighbours of the list go together: all writers are at the same jobs at about the same time.
        told.sort(key=lambda event: ids.index(event.job_id) + chance.uniform(0, 12))
        for event in told:
            await recorder.record([event])

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    over.set()
    await watching

    assert watcher.illegal == []
    assert watcher.transitions >= LEAST
    reader = StoreReader(open_engine(settings.database_url))
    for id in ids:
        assert reader.job(id).state.final is watcher.ends[id][0]  # who was first has won, and nobody else
        assert watcher.states[id].final is watcher.ends[id][0]
    reader.close()
    await recorder.close()
    print(f"\n{watcher.transitions} transitions, {sum(map(len, watcher.ends.values()))} ends for {len(ids)} jobs")
