from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.api import FIRST, ApiPlatform, now
from thornback.errors import TrainingFailed, Unavailable
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.spec import VideoLoraSpec, parse_spec
from thornback.jobs.state import PHASE_PENDING, PHASE_RUNNING, JobState, Mark
from thornback.jobs.status import FailureReason, JobStatus
from train_jobs.video_lora.child import Child, outlast, seconds_left, stage_text

BODY = {"kind": "video_lora", "job_name": "cat", "config": {"video_url": "https://x/y.mp4", "trigger_word": "TOK"}}


async def parent_of(api: ApiPlatform) -> tuple[JobState, Child, EventFactory]:
    parent = await api.create_spec(BODY, user="ada")
    child = Child(api.recorder, parent, look_s=0.001)
    spec = parse_spec(parent.spec)
    assert isinstance(spec, VideoLoraSpec)
    await child.create(spec.training("/data/set.zip"))
    return parent, child, EventFactory(child.id)


async def test_it_is_made_once_and_belongs_to_the_pipeline(api: ApiPlatform) -> None:
    parent, child, _ = await parent_of(api)
    spec = parse_spec(parent.spec)
    assert isinstance(spec, VideoLoraSpec)
    await Child(api.recorder, parent).create(spec.training("/data/another.zip"))
    [part] = api.reader.parts(parent.id)
    assert (part.id, part.parent_id, part.user, part.kind, part.backend) == (child.id, parent.id, "ada", "lora", "fal")
    assert part.spec["config"]["dataset"] == "/data/set.zip"


async def test_it_is_followed_to_its_end(api: ApiPlatform) -> None:
    _, child, make = await parent_of(api)
    told: list[tuple[str, float]] = []
    events: list[JobEvent] = [
        make.started(FIRST, at=now()),
        make.progress(FIRST, seq=1, percent=40.0, epoch=0, total_epochs=0, eta_seconds=None, at=now()),
        make.succeeded(FIRST, at=now()),
    ]

    def tell(job: JobState) -> None:
        told.append((job.status.value, job.progress_percent))

    for event in events:
        tell(await api.recorder.job(child.id))
        await api.record(event)
    done = await child.follow(tell)
    assert done.status is JobStatus.COMPLETED
    assert told == [("queued", 0.0), ("running", 0.0), ("running", 40.0), ("completed", 100.0)]


async def test_its_failure_is_that_of_the_pipeline(api: ApiPlatform) -> None:
    _, child, make = await parent_of(api)
    await api.record(make.failed(FIRST, reason=FailureReason.PROVIDER_REFUSED, message="no credit", at=now()))
    with pytest.raises(TrainingFailed, match=rf"^no credit \(training {child.id}\)$") as caught:
        await child.follow(lambda job: None)
    assert caught.value.details["reason"] == "provider_refused"


async def test_a_cancel_reaches_it_and_ends_the_pipeline(api: ApiPlatform) -> None:
    _, child, make = await parent_of(api)
    await child.cancel()
    assert (await api.recorder.job(child.id)).cancel_requested
    await api.record(make.cancelled(at=now()))
    with pytest.raises(TrainingFailed, match="it was cancelled") as caught:
        await child.follow(lambda job: None)
    assert caught.value.details["reason"] == "part_cancelled"


async def test_one_that_was_deleted_is_missed(api: ApiPlatform) -> None:
    _, child, _ = await parent_of(api)
    await api.recorder.delete(child.id)
    with pytest.raises(TrainingFailed, match="was deleted; start the pipeline again"):
        await child.follow(lambda job: None)


async def test_a_recorder_that_is_away_is_waited_for_but_not_for_ever() -> None:
    job = JobState(id="x")
    faults = [Unavailable("away")] * 3

    async def look() -> JobState:
        if faults:
            raise faults.pop()
        return job

    assert await outlast(look, for_s=60.0, pause_s=0.0) is job
    faults.extend([Unavailable("away")] * 2)
    with pytest.raises(Unavailable):
        await outlast(look, for_s=-1.0, pause_s=0.0)


def test_what_the_pipeline_shows_of_it() -> None:
    assert stage_text(JobState(id="x")) == "training: in the queue"
    running = JobState(id="x", mark=Mark(1, 0, PHASE_RUNNING))
    assert [stage_text(replace(running, stage=stage)) for stage in (None, "training", "saving")] == [
        "training",
        "training",
        "training: saving",
    ]
    waiting = JobState(id="x", mark=Mark(1, 0, PHASE_PENDING), reason="waiting for 1 GPU")
    assert stage_text(waiting) == "training: waiting for 1 GPU"
    assert seconds_left(JobState(id="x"), datetime.now(UTC)) is None
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert seconds_left(JobState(id="x", eta_at=at + timedelta(seconds=90)), at) == 90.0
    assert seconds_left(JobState(id="x", eta_at=at), at + timedelta(seconds=5)) == 0.0
