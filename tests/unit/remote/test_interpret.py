"""One meaning, whichever way and however often a thing is heard."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.remote import make
from tests.unit.remote.make import BEGIN, cancelled, failed, item, later, processing, starting, succeeded
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.items import ItemState, ItemStatus, reduce_items
from thornback.jobs.reduce import reduce_all
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import Delivery, NewJob
from thornback.providers.port import Sighting
from thornback.remote.interpret import Via, events_of, warnings_of
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

JOB = "0190a000-0000-7000-8000-000000000003"
SPEC = parse_spec(
    {
        "job_name": "ada",
        "kind": "lora",
        "backend": "replicate",
        "config": {"dataset": "https://files.test/ada.zip", "trigger_word": "ADA"},
    }
).model_dump(mode="json")


def told(*sightings: Sighting, **options: Any) -> tuple[JobState, ItemState]:
    """What is known after hearing these one after the other."""
    events: list[JobEvent] = [EventFactory(JOB).created(SPEC, user="ada", at=BEGIN)]
    for number, sighting in enumerate(sightings):
        events += events_of(item(JOB), sighting, via="webhook", at=later(2000 + number), **options)
    items = reduce_items({}, (event for event in events if event.kind is EventKind.ITEM))
    return reduce_all(JobState(id=JOB), events), items[1]


def test_starting_tells_who_has_it() -> None:
    job, order = told(starting())
    assert order.status is ItemStatus.SENT
    assert (order.provider_id, order.sent_at) == (make.PROVIDER_ID, later(0))
    assert job.fact("provider_id") == make.PROVIDER_ID
    assert job.fact("provider_url") == f"https://replicate.com/p/{make.PROVIDER_ID}"
    assert job.started_at is None


def test_processing_starts_the_job_when_the_provider_says_that_it_began() -> None:
    job, order = told(processing())
    assert order.status is ItemStatus.PROCESSING
    assert job.started_at == later(20)
    assert job.status is JobStatus.RUNNING


def test_inputs_and_times_are_taken_on_success_only() -> None:
    for sighting in (starting(), processing(), failed(predict_time_s=9.0), cancelled()):
        job, _ = told(sighting)
        assert not set(job.facts) & {"input_images_url", "trigger_word", "training_steps", "predict_time", "total_time"}
    job, order = told(succeeded())
    facts = {name: job.fact(name) for name in job.facts}
    assert facts == {
        "provider": "replicate",
        "provider_id": make.PROVIDER_ID,
        "provider_url": f"https://replicate.com/p/{make.PROVIDER_ID}",
        "provider_version": "acme/ada:" + "7d" * 32,
        "input_images_url": "https://files.test/ada.zip",
        "trigger_word": "ADA",
        "captioning": "automatic",
        "training_steps": 1000,
        "predict_time": 1472.7,
        "total_time": 1491.5,
    }
    assert (order.status, order.outputs, order.ended_at) == (ItemStatus.SUCCEEDED, (make.WEIGHTS,), later(1500))
    assert job.final is None  # the files come first


def test_missing_inputs_are_warnings() -> None:
    bare = succeeded(
        inputs={"input_images": "https://files.test/ada.zip"},
        predict_time_s=None,
        warnings=("metrics.predict_time is missing",),
    )
    job, _ = told(bare)
    assert job.fact("trigger_word") is None
    assert job.fact("predict_time") is None
    assert warnings_of(bare) == [
        "metrics.predict_time is missing",
        "input.trigger_word is missing",
        "input.captioning is missing",
        "input.steps is missing",
    ]
    assert warnings_of(processing(inputs={})) == []


@pytest.mark.parametrize(("value", "kept"), [(300, 300), ("300", 300), (True, None), (2.5, None), ("many", None)])
def test_steps_are_a_whole_number(value: object, kept: int | None) -> None:
    job, _ = told(succeeded(inputs={**make.INPUTS, "steps": value}))
    assert job.fact("training_steps") == kept


def test_a_failure_is_stored_with_the_providers_words() -> None:
    job, order = told(failed())
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_FAILED)
    assert job.error_message == order.error == "Prediction input failed validation"
    assert job.completed_at == later(30)
    job, _ = told(failed(error=None))
    assert job.error_message == "the provider gave no reason"


def test_cancelled_is_for_the_tracker_to_judge() -> None:
    job, order = told(cancelled())
    assert order.status is ItemStatus.CANCELLED
    assert job.final is None


@pytest.mark.parametrize(
    ("sighting", "status"),
    [(succeeded(), JobStatus.COMPLETED), (cancelled(), JobStatus.CANCELLED), (failed(), JobStatus.FAILED)],
)
def test_where_nobody_follows_every_end_ends_the_job(sighting: Sighting, status: JobStatus) -> None:
    job, _ = told(sighting, ends_job=True)
    assert job.status is status
    assert job.completed_at == sighting.completed_at


def test_an_unreadable_start_is_made_from_the_run_time() -> None:
    job, _ = told(succeeded(started_at=None, predict_time_s=100.0))
    assert job.started_at == later(1400)
    job, _ = told(failed(started_at=None))
    assert job.started_at is None


def test_an_image_tells_nothing_of_its_job() -> None:
    job, order = told(succeeded(), is_training=False)
    assert order.status is ItemStatus.SUCCEEDED
    assert job.facts == {}
    assert job.started_at is None
    assert told(failed(), is_training=False)[0].final is None


def test_another_id_than_ours_means_nothing() -> None:
    known = replace(item(JOB), provider_id="other", sent_at=later(1), status=ItemStatus.SENT)
    assert events_of(known, succeeded(), via="webhook", at=later(2000)) == []


# ---------------------------------------------------------------- three ways, one result


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """A sighting that somebody heard."""

    sighting: Sighting
    via: Via
    at: datetime


def _less(sighting: Sighting, gaps: set[str]) -> Sighting:
    """What a provider does not tell each time."""
    blank: dict[str, Any] = {"started_at": None} | {
        "inputs": {},
        "predict_time_s": None,
        "total_time_s": None,
        "web_url": None,
        "version": None,
        "logs": None,
    }
    return replace(sighting, **{name: blank[name] for name in gaps})


@st.composite
def hearings(draw: st.DrawFn) -> list[Hearing]:
    """A life of a training as it is heard: each sighting up to three ways, at any delay, twice, in any order."""
    end = draw(st.sampled_from([succeeded(), failed(), cancelled()]))
    life = [starting(), processing(), processing(logs="step 1\nstep 2\n"), end]
    gaps = st.sets(
        st.sampled_from(["inputs", "predict_time_s", "total_time_s", "web_url", "version", "logs", "started_at"])
    )
    heard = [
        Hearing(sighting=_less(sighting, draw(gaps)), via=via, at=later(draw(st.integers(1500, 9000))))
        for sighting in life
        for via in get_args(Via)
        if draw(st.booleans())
    ]
    heard.append(Hearing(sighting=end, via=draw(st.sampled_from(get_args(Via))), at=later(9001)))
    heard += draw(st.lists(st.sampled_from(heard), max_size=4))
    return list(draw(st.permutations(heard)))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalRecorder, StoreReader]]:
    """One database for all examples; each has a job of its own."""
    home: Path = tmp_path_factory.mktemp("platform")
    url = Settings(home=home).database_url
    upgrade(url)
    recorder, reader = LocalRecorder.open(Settings(home=home)), StoreReader(open_engine(url))
    recorder.begin()
    yield recorder, reader
    asyncio.run(recorder.close())
    reader.close()


async def _hear(recorder: LocalRecorder, reader: StoreReader, job_id: str, heard: list[Hearing]) -> None:
    await recorder.create(NewJob(job_id=job_id, spec=SPEC, user="ada", at=BEGIN))
    for number, one in enumerate(heard):
        known = next(iter(reader.items(job_id)), item(job_id))
        sighting = replace(one.sighting, provider_id=job_id)  # no two jobs have the same order
        events = events_of(known, sighting, via=one.via, at=one.at)
        if one.via != "webhook":
            await recorder.record(events)
            continue
        delivery = Delivery(
            provider="replicate",
            delivery_id=f"{job_id}-{number % 3}",  # some come again
            received_at=one.at,
            provider_id=job_id,
            job_id=job_id,
            item=1,
            status=sighting.status,
            body="{}",
        )
        receipt = await recorder.receive(delivery, events)
        if not receipt.is_new:
            await recorder.record(events)


def _result(reader: StoreReader, job_id: str) -> dict[str, Any]:
    """Everything but by which way and when it was heard."""
    job, [order] = reader.job(job_id).state, reader.items(job_id)
    return {
        "status": job.status,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "failure": (job.failure, job.error_message),
        "facts": {name: job.fact(name) for name in job.facts if name != "provider_id"},
        "order": (order.status, order.error, order.outputs, order.sent_at, order.ended_at),
    }


@settings(max_examples=60, deadline=None)
@given(heard=hearings())
def test_three_ways_give_one_result(platform: tuple[LocalRecorder, StoreReader], heard: list[Hearing]) -> None:
    recorder, reader = platform
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    straight = sorted(heard, key=lambda one: (one.sighting.phase.is_over, one.at, one.via))

    asyncio.run(_hear(recorder, reader, first, heard))
    asyncio.run(_hear(recorder, reader, second, straight))

    assert _result(reader, first) == _result(reader, second)
