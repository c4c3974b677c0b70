"""What is genuine and means nothing: kept with the reason, looked at, used again, discarded."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.webhooks.conftest import Provider, succeeded, training
from thornback.jobs.status import JobStatus
from thornback.remote.imports import imported_id

DELIVERIES = "/api/v1/webhooks/deliveries"

GARBAGE: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello", "JSON"),
    "nothing": (b"", "JSON"),
    "half": (json.dumps(succeeded()).encode()[:-20], "JSON"),
    "a list": (b"[1, 2]", "object"),
    "a number": (b"17", "object"),
    "no text": (b"\xff\xfe\x00\x01", "JSON"),
    "without an id": (b'{"status": "succeeded"}', "id"),
    "an id of another type": (b'{"id": 7, "status": "succeeded"}', "id"),
    "an id without end": (json.dumps(training("starting", "x" * 1000)).encode(), "id"),
    "without a status": (b'{"id": "r1"}', "status"),
    "an unknown status": (json.dumps(training("exploded")).encode(), "exploded"),
    "a status that is an object": (b'{"id": "r1", "status": {}}', "status"),
    "deeply nested": (b'{"id": "r1", "status": "succeeded", "input": ' + b"[" * 3000 + b"]" * 3000 + b"}", ""),
    "rather deeply nested": (b'{"id": "r1", "status": "succeeded", "input": ' + b"[" * 90 + b"]" * 90 + b"}", "deep"),
    "a number without end": (b'{"id": "r1", "status": "succeeded", "n": ' + b"9" * 5000 + b', "logs": "\x01"}', ""),
}


async def test_genuine_rubbish_is_kept_and_not_sent_again(provider: Provider) -> None:
    for what, (body, reason) in GARBAGE.items():
        answer = await provider.replicate(body)
        assert answer.status_code == 200, what
        assert reason in answer.json()["problem"], what
        assert provider.dead()[0].problem == answer.json()["problem"], what
    assert len(provider.dead()) == len(GARBAGE)
    assert provider.platform.reader.latest_event_id() == 0


WRONG_TYPES: dict[str, Any] = {
    "input": ["list"],
    "logs": {"text": 1},
    "metrics": "fast",
    "output": 17,
    "error": ["a", "b"],
    "started_at": 12.5,
    "completed_at": {},
    "urls": "https://replicate.com",
    "data_removed": "yes",
    "model": 4,
}


async def test_fields_of_the_wrong_type_do_not_hide_the_end(provider: Provider) -> None:
    for number, (name, value) in enumerate(WRONG_TYPES.items()):
        answer = await provider.replicate(succeeded(f"r{number}", **{name: value}))
        assert answer.json()["problem"] is None, name
        job = provider.platform.reader.job(imported_id("replicate", f"r{number}"))
        assert job.state.status is JobStatus.COMPLETED, name
    answer = await provider.replicate(succeeded("all", **WRONG_TYPES))
    assert answer.json()["problem"] is None


async def test_numbers_that_are_none_are_left_out(provider: Provider) -> None:
    raw = json.dumps(succeeded(metrics={"predict_time": 1.5, "total_time": float("inf")})).encode()
    assert b"Infinity" in raw
    assert (await provider.replicate(raw)).json()["problem"] is None
    state = provider.platform.reader.job(imported_id("replicate", "z5phh5")).state
    assert (state.fact("predict_time"), state.fact("total_time")) == (1.5, None)


async def test_texts_that_a_database_does_not_take(provider: Provider) -> None:
    nul, half = "a\x00b", "\ud83d"
    body = succeeded("nul", logs=nul, error=nul, output=nul, input={"trigger_word": nul, half: half, "steps": 5})
    assert (await provider.replicate(body)).json()["problem"] is None
    state = provider.platform.reader.job(imported_id("replicate", "nul")).state
    assert state.fact("trigger_word") == "ab"


async def test_a_body_of_nearly_ten_megabytes(provider: Provider) -> None:
    raw = json.dumps(succeeded(logs="50%|##### | 150/300\n" * 450_000)).encode()
    assert 9_000_000 < len(raw) < 10_000_000
    assert (await provider.replicate(raw)).json()["problem"] is None
    assert provider.platform.reader.job(imported_id("replicate", "z5phh5")).state.status is JobStatus.COMPLETED


async def test_somebody_elses_prediction_is_no_job_of_ours(provider: Provider) -> None:
    answer = await provider.replicate({"id": "p1", "status": "succeeded", "input": {"prompt": "a boat"}})
    assert "nobody here ordered p1" in answer.json()["problem"]


async def test_an_order_that_a_job_never_gave(provider: Provider) -> None:
    job_id = await provider.ordered(provider_id="mine")
    for item, order in ((2, 1), (1, 2)):
        answer = await provider.replicate(training("processing", "mine"), job=job_id, item=item, order=order)
        assert "no such order" in answer.json()["problem"]
    answer = await provider.replicate(training("succeeded", "other"), job=job_id, item=1, order=1)
    assert "other was not ordered here" in answer.json()["problem"]
    assert provider.item(job_id).provider_id == "mine"
    assert not provider.item(job_id).status.is_over


async def test_a_job_that_was_deleted_stays_deleted(provider: Provider) -> None:
    await provider.replicate(training("starting"))
    ours, imported = await provider.ordered(provider_id="mine"), imported_id("replicate", "z5phh5")
    for job_id in (ours, imported):
        await provider.platform.recorder.delete(job_id)
    for answer in (
        await provider.replicate(succeeded("mine"), job=ours, item=1, order=1),
        await provider.replicate(succeeded()),
    ):
        assert answer.status_code == 200
        assert answer.json()["problem"] is not None
    assert len(provider.dead()) == 2


async def test_a_dead_letter_is_used_once_its_order_is_known(provider: Provider) -> None:
    await provider.replicate(b"rubbish")
    body = {"id": "p9", "status": "succeeded", "input": {"prompt": "x"}, "output": ["https://x.example/1.png"]}
    await provider.replicate(body)
    letters = (await provider.client.get(DELIVERIES, params={"state": "dead"})).json()["deliveries"]
    assert [letter["provider_id"] for letter in letters] == ["p9", None]
    number = letters[0]["id"]
    assert json.loads((await provider.client.get(f"{DELIVERIES}/{number}")).json()["body"]) == body

    again = (await provider.client.post(f"{DELIVERIES}/{number}/replay")).json()
    assert (again["is_new"], again["problem"]) == (False, "nobody here ordered p9")
    job_id = await provider.ordered(kind="image_set", provider_id="p9")
    again = (await provider.client.post(f"{DELIVERIES}/{number}/replay")).json()
    assert (again["is_new"], again["problem"]) == (True, None)
    assert provider.item(job_id).outputs == ("https://x.example/1.png",)

    assert (await provider.client.post(f"{DELIVERIES}/{number}/replay")).json()["is_new"] is False
    (left,) = (await provider.client.get(DELIVERIES, params={"state": "dead"})).json()["deliveries"]
    assert left["problem"]
    (used,) = (await provider.client.get(DELIVERIES, params={"job": job_id})).json()["deliveries"]
    assert (used["id"], used["state"], used["item"]) == (number, "applied", 1)


async def test_only_dead_letters_can_be_discarded(provider: Provider) -> None:
    await provider.replicate(b"rubbish")
    await provider.replicate(succeeded())
    used, dead = (row.id for row in provider.inbox())
    assert (await provider.client.delete(f"{DELIVERIES}/{used}")).status_code == 409
    assert (await provider.client.delete(f"{DELIVERIES}/{dead}")).status_code == 204
    assert (await provider.client.delete(f"{DELIVERIES}/{dead}")).status_code == 404
    assert (await provider.client.post(f"{DELIVERIES}/{dead}/replay")).status_code == 404
    assert [row.id for row in provider.inbox()] == [used]


async def test_the_inbox_is_paged(provider: Provider) -> None:
    for number in range(5):
        await provider.replicate(training("starting", f"r{number}"))
    params: dict[str, Any] = {"limit": 2, "provider": "replicate"}
    seen = []
    for _ in range(3):
        page = (await provider.client.get(DELIVERIES, params=params)).json()
        seen += [row["provider_id"] for row in page["deliveries"]]
        params["cursor"] = page["next_cursor"]
    assert seen == [f"r{number}" for number in (4, 3, 2, 1, 0)]
    assert page["next_cursor"] is None
    assert (await provider.client.get(DELIVERIES, params={"cursor": "x"})).status_code == 422
