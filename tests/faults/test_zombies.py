"""200 runs that were given up and do not know it yet: nothing that they say counts."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import NewJob, Speaker
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

ZOMBIES = 200
LOST, RESTARTED = Attempt(1, 0), Attempt(1, 1)
SPEC = parse_spec({"job_name": "storm"}).model_dump(mode="json")


def words(job_id: str, attempt: Attempt) -> list[JobEvent]:
    """All that a run can say, its success included."""
    make, at = EventFactory(job_id), datetime.now(UTC)
    return [
        make.metrics(epoch=1, batch=None, phase="val", values={"val_loss": 0.1}, at=at),
        make.progress(attempt, seq=0, percent=90.0, epoch=1, total_epochs=1, eta_seconds=None, at=at),
        make.described(attempt, {"who": "zombie"}, seq=0, at=at),
        make.artifact(attempt, name="best", type="checkpoint", uri="/runs/stale", at=at),
        make.succeeded(attempt, at=at),
    ]


async def test_nothing_that_a_zombie_says_counts(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    upgrade(settings.database_url)
    recorder = LocalRecorder.open(settings)
    await recorder.start()
    reader = StoreReader(open_engine(settings.database_url))
    ids = [str(uuid.uuid4()) for _ in range(ZOMBIES)]
    # Every second one is a worker whose driver lives, and has started another in its place.
    restarted = set(ids[::2])
    now = datetime.now(UTC)

    async def give_up(job_id: str) -> None:
        await recorder.create(NewJob(job_id=job_id, spec=SPEC, user="ada", at=now))
        newer = RESTARTED if job_id in restarted else Attempt(2)
        lost = EventFactory(job_id).retried(newer, reason=FailureReason.NODE_LOST, message="it is away", at=now)
        await recorder.record([lost])

    def zombie(job_id: str) -> Speaker:
        return Speaker(job_id=job_id, attempt=LOST, is_worker=job_id in restarted)

    await asyncio.gather(*map(give_up, ids))
    acks = await asyncio.gather(*(recorder.record(words(id, LOST), speaker=zombie(id)) for id in ids))

    assert [(ack.committed, ack.superseded) for ack in acks] == [(0, frozenset({id})) for id in ids]
    for id in ids:
        job = reader.job(id).state
        assert (job.progress, dict(job.facts), dict(job.artifacts)) == (0.0, {}, {})
        assert job.final is None
        assert reader.metrics(id) == []

    successors = [(id, RESTARTED if id in restarted else Attempt(2)) for id in ids]
    await asyncio.gather(
        *(
            recorder.record(words(id, attempt), speaker=Speaker(job_id=id, attempt=attempt, is_worker=True))
            for id, attempt in successors
        )
    )
    assert {reader.job(id).state.final for id in ids} == {JobStatus.COMPLETED}
    reader.close()
    await recorder.close()
