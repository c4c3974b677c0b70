"""What a webhook of Replicate's does to the database, both of them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from tests.integration.webhooks.conftest import Provider, succeeded, training
from thornback.jobs.events import EventFactory
from thornback.jobs.items import ItemStatus
from thornback.jobs.status import JobStatus
from thornback.remote.imports import imported_id

JOB = imported_id("replicate", "z5phh5")


async def test_the_life_of_a_training_that_was_started_elsewhere(provider: Provider) -> None:
    job = provider.platform.reader.job
    answer = await provider.replicate(training("starting"))
    assert (answer.status_code, answer.json()["is_new"]) == (200, True)
    assert job(JOB).state.status is not JobStatus.RUNNING
    assert job(JOB).state.fact("predict_time") is None

    await provider.replicate(training("processing", started_at="2025-06-22T04:02:08.352234Z", logs="step 1"))
    assert job(JOB).state.status is JobStatus.RUNNING
    assert job(JOB).state.started_at == datetime(2025, 6, 22, 4, 2, 8, 352234, UTC)
    assert job(JOB).state.fact("trigger_word") is None  # inputs only on success

    await provider.replicate(succeeded())
    state = job(JOB).state
    assert state.status is JobStatus.COMPLETED
    assert {name: state.fact(name) for name in FACTS} == FACTS
    assert state.completed_at == datetime(2025, 6, 22, 4, 15, 19, 625155, UTC)
    assert provider.dead() == []


FACTS = {
    "input_images_url": "https://storage.example/dataset.zip",
    "trigger_word": "MYMODEL",
    "captioning": "automatic",
    "training_steps": 300,
    "predict_time": 791.272920881,
    "total_time": 791.282155,
}


async def test_the_first_thing_heard_may_be_the_end(provider: Provider) -> None:
    assert (await provider.replicate(succeeded())).status_code == 200
    state = provider.platform.reader.job(JOB).state
    assert (state.status, state.kind, state.backend) == (JobStatus.COMPLETED, "lora", "replicate")
    assert {name: state.fact(name) for name in FACTS} == FACTS
    assert provider.item(JOB).via == "webhook"
    assert provider.item(JOB).provider_id == "z5phh5"


async def test_a_failure_stores_its_error(provider: Provider) -> None:
    await provider.replicate(training("failed", error="CUDA out of memory"))
    state = provider.platform.reader.job(JOB).state
    assert (state.status, state.error_message) == (JobStatus.FAILED, "CUDA out of memory")
    assert state.fact("trigger_word") is None


@pytest.mark.parametrize("status", ["canceled", "aborted"])
async def test_what_was_cancelled_or_never_begun_ends_as_cancelled(provider: Provider, status: str) -> None:
    await provider.replicate(training("starting"))
    await provider.replicate(training(status))
    assert provider.platform.reader.job(JOB).state.status is JobStatus.CANCELLED


async def test_missing_fields_are_left_out(provider: Provider) -> None:
    body = succeeded(completed_at="yesterday", metrics={"predict_time": "long"})
    del body["input"]["captioning"]
    assert (await provider.replicate(body)).status_code == 200
    state = provider.platform.reader.job(JOB).state
    assert state.status is JobStatus.COMPLETED
    assert (state.fact("captioning"), state.fact("predict_time"), state.fact("total_time")) == (None, None, None)
    assert state.fact("trigger_word") == "MYMODEL"


async def test_a_repeat_does_nothing(provider: Provider) -> None:
    answers = [(await provider.replicate(succeeded(), delivery_id="msg_1")).json() for _ in range(3)]
    assert [answer["is_new"] for answer in answers] == [True, False, False]
    assert answers[1]["events"] == 0
    assert len(provider.inbox()) == 1


async def test_what_comes_late_changes_nothing(provider: Provider) -> None:
    await provider.replicate(succeeded())
    before = provider.platform.reader.job(JOB).state
    for late in (training("processing", started_at="2025-06-22T04:02:08.352234Z"), training("starting")):
        answer = await provider.replicate(late)
        assert answer.json()["is_new"]
    after = provider.platform.reader.job(JOB).state
    assert (after.status, after.started_at, after.completed_at) == (
        before.status,
        before.started_at,
        before.completed_at,
    )
    assert provider.item(JOB).status is ItemStatus.SUCCEEDED


async def test_the_first_end_stands(provider: Provider) -> None:
    await provider.replicate(succeeded())
    await provider.replicate(training("failed", error="upload of the model failed"))
    assert provider.platform.reader.job(JOB).state.status is JobStatus.COMPLETED


async def test_all_at_once_make_one_job(provider: Provider) -> None:
    bodies = [training("starting"), training("processing", logs="x"), succeeded(), succeeded(), training("processing")]
    answers = await asyncio.gather(*(provider.replicate(body) for body in bodies * 4))
    assert {answer.status_code for answer in answers} == {200}
    assert provider.platform.reader.job(JOB).state.status is JobStatus.COMPLETED
    assert len(provider.inbox()) == 20


async def test_a_webhook_may_come_before_the_answer_to_our_own_order(provider: Provider) -> None:
    job_id = await provider.ordered()
    assert provider.item(job_id).provider_id is None
    body = training("processing", "early1", logs="1/300", started_at="2025-06-22T04:02:08Z")
    answer = await provider.replicate(body, job=job_id, item=1, order=1)
    assert answer.json()["problem"] is None
    item = provider.item(job_id)
    assert (item.provider_id, item.status) == ("early1", ItemStatus.PROCESSING)
    # the answer that comes after it says the same
    at = datetime.now(UTC)
    sent = EventFactory(job_id).item(1, order=1, status="sent", provider="replicate", provider_id="early1", at=at)
    await provider.platform.record(sent)
    assert provider.item(job_id).provider_id == "early1"
    assert provider.item(job_id).status is ItemStatus.PROCESSING


async def test_an_order_is_found_by_its_id_where_the_address_says_nothing(provider: Provider) -> None:
    job_id = await provider.ordered(provider_id="r77")
    await provider.replicate(training("starting", "r77"))
    await provider.replicate(training("processing", "r77"), job="no-id")
    await provider.replicate(training("processing", "r77"), item=3)
    assert {row.job_id for row in provider.inbox()} == {job_id}
    assert provider.dead() == []


async def test_images_of_a_set_end_one_by_one(provider: Provider) -> None:
    job_id = await provider.ordered(kind="image_set", items=3)
    for number in (1, 2, 3):
        output = [f"https://replicate.example/{number}.webp"]
        body = {"id": f"p{number}", "status": "succeeded", "input": {"prompt": "x"}, "output": output}
        await provider.replicate(body, job=job_id, item=number, order=1)
    assert [provider.item(job_id, n).outputs for n in (1, 2, 3)] == [
        (f"https://replicate.example/{n}.webp",) for n in (1, 2, 3)
    ]
    assert not provider.platform.reader.job(job_id).state.status.is_final  # that is for whoever fetches them


async def test_outputs_that_were_removed_already(provider: Provider) -> None:
    body = succeeded(output=None, input={}, data_removed=True)
    assert (await provider.replicate(body)).json()["problem"] is None
    assert provider.item(JOB).outputs == ()
    assert provider.platform.reader.job(JOB).state.status is JobStatus.COMPLETED


LOGS = "50%|\u001b[32m█████\u001b[0m| 150/300\r51%|\u0000"


async def test_bare_control_characters_in_logs(provider: Provider) -> None:
    raw = json.dumps(succeeded(logs="MARK"), ensure_ascii=False).replace("MARK", LOGS).encode()
    with pytest.raises(json.JSONDecodeError):
        json.loads(raw)
    assert (await provider.replicate(raw)).json()["problem"] is None
    (row,) = provider.inbox()
    body = provider.platform.reader.delivery(row.id).body or ""
    assert "\x1b[32m" in body
    assert "\x00" not in body


async def test_two_names_for_the_same_route(provider: Provider) -> None:
    answer = await provider.replicate(succeeded(), path="/api/webhooks/replicate")
    assert answer.json() == {"received": True, "is_new": True, "events": answer.json()["events"], "problem": None}


BAR = "flux_train_replicate: {p:3}%|####      | {n}/300 [04:05<09:05,  2.63s/it, loss: 3.7e-01]"


async def test_the_log_of_a_training_that_nobody_follows(provider: Provider) -> None:
    reader = provider.platform.reader
    log = "Extracting images\nStarting train job\n\r" + BAR.format(p=10, n=30)
    grown = log + "\r" + BAR.format(p=31, n=93) + "\n"
    started = datetime.now(UTC).isoformat()  # long ago, and the time that has passed would say more than the log
    for whole in (log, grown, log):  # the last comes late
        await provider.replicate(training("processing", logs=whole, started_at=started))
    job = reader.job(JOB).state
    assert job.progress_percent == pytest.approx(10 + 0.85 * 31)
    assert job.progress_origin == "parsed"
    await provider.replicate(succeeded(logs=grown + "Fine-tuning completed"))
    lines = [line for chunk in reader.logs(JOB) for line in chunk.lines]
    assert lines[:2] == ["Extracting images", "Starting train job"]
    assert lines[-1] == "Fine-tuning completed"
    assert len(lines) == len(set(lines))
    assert reader.job(JOB).state.status is JobStatus.COMPLETED
