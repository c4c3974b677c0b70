"""The queue over HTTP: seen by all, held and put into order by admins, priorities changed by owners."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.api import FIRST, JOBS, ApiPlatform, Reports, now
from thornback.jobs.events import EventFactory
from thornback.metrics.port import QueuePlace

QUEUE = "/api/v1/queue"


async def three(api: ApiPlatform) -> list[str]:
    """Waiting jobs in their places."""
    ids = [(await api.create(name)).id for name in ("one", "two", "three")]
    await api.recorder.set_queue(
        {id: QueuePlace(position=place, reason="waiting for 1 GPU") for place, id in enumerate(ids, 1)}
    )
    return ids


def names(answer: Any) -> list[tuple[str, int]]:
    return [(job["job_name"], job["priority"]) for job in answer.json()["waiting"]]


async def test_paused_and_resumed(api: ApiPlatform) -> None:
    async with api.client() as client:
        assert (await client.get(QUEUE)).json() == {"paused": None, "waiting": [], "last_event_id": 0}
        paused = (await client.post(f"{QUEUE}/pause", json={"reason": " a node is replaced "})).json()["paused"]
        assert (paused["by"], paused["reason"]) == ("local", "a node is replaced")
        again = (await client.post(f"{QUEUE}/pause")).json()["paused"]
        assert again == paused == (await client.get(QUEUE)).json()["paused"]
        assert (await client.post(f"{QUEUE}/resume")).json()["paused"] is None
        assert (await client.post(f"{QUEUE}/pause", json={"why": ""})).status_code == 422


async def test_who_waits_for_what_and_another_order(api: ApiPlatform) -> None:
    one, two, three_ = await three(api)
    elsewhere = await api.create_spec({"kind": "lora", "backend": "fal", "job_name": "fox", "config": FAL})
    running = await api.create("running")
    await api.record(Reports(running.id).started())
    async with api.client() as client:
        listed = (await client.get(QUEUE)).json()["waiting"]
        assert [(job["queue"], job["position"], job["reason"]) for job in listed] == [
            ("fal", None, None),
            ("ray", 1, "waiting for 1 GPU"),
            ("ray", 2, "waiting for 1 GPU"),
            ("ray", 3, "waiting for 1 GPU"),
        ]
        moved = await client.post(f"{QUEUE}/move", json={"job_id": three_, "before": one})
        assert names(moved)[1:] == [("three", 1), ("one", 0), ("two", 0)]
        last = await client.post(f"{QUEUE}/move", json={"job_id": one, "before": None})
        assert dict(names(last)) == {"fox": 0, "one": -1, "two": 0, "three": 1}
        for body in ({"job_id": running.id, "before": one}, {"job_id": one, "before": elsewhere.id}):
            assert (await client.post(f"{QUEUE}/move", json=body)).status_code == 404
    assert [event.kind.value for event in api.reader.events(0, job_id=three_)] == ["created", "prioritized"]
    assert two in {job["id"] for job in listed}


FAL = {"trigger_word": "fox", "dataset": "https://example.com/fox.zip"}


async def test_a_priority_is_changed_while_a_job_waits(api: ApiPlatform) -> None:
    job, started, ended = [await api.create(name) for name in ("waits", "started", "ended")]
    scheduled = EventFactory(started.id).scheduled(FIRST, submission_id="s", at=now())
    await api.record(scheduled, Reports(ended.id).cancelled())
    async with api.client() as client:
        answer = await client.patch(f"{JOBS}/{job.id}", json={"priority": 42})
        assert (answer.status_code, answer.json()["job"]["priority"]) == (200, 42)
        listed = (await client.get(JOBS, params={"sort": "-priority"})).json()["jobs"]
        assert listed[0]["id"] == job.id
        codes = [
            (await client.patch(f"{JOBS}/{id}", json={"priority": 1})).json()["code"] for id in (started.id, ended.id)
        ]
        assert codes == ["conflict", "job_is_final"]


@pytest.mark.parametrize("body", [{}, {"priority": 101}, {"priority": 1.5}, {"priority": 1, "user": "eve"}])
async def test_what_cannot_be_changed(api: ApiPlatform, body: Any) -> None:
    job = await api.create()
    async with api.client() as client:
        assert (await client.patch(f"{JOBS}/{job.id}", json=body)).status_code == 422
    assert (await api.recorder.job(job.id)).priority == 0
