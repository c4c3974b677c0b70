"""Cancelling and deleting several jobs: each has its own result."""

from __future__ import annotations

import uuid

from tests.fixtures.api import JOBS, ApiPlatform, Reports


async def test_each_job_is_told_apart(api: ApiPlatform) -> None:
    running, waiting, over = [await api.create(name) for name in ("running", "waiting", "over")]
    await api.record(Reports(running.id).started(), Reports(over.id).succeeded())
    unknown = str(uuid.uuid4())
    async with api.client() as client:
        answer = await client.post(
            f"{JOBS}/cancel", json={"ids": [running.id, over.id, unknown, waiting.id, running.id]}
        )
    assert answer.status_code == 202
    body = answer.json()
    assert [(result["id"], result["outcome"], result["code"]) for result in body["results"]] == [
        (running.id, "cancelling", None),
        (over.id, "refused", "job_is_final"),
        (unknown, "refused", "job_not_found"),
        (waiting.id, "cancelling", None),
    ]
    assert "is completed and cannot be cancelled" in body["results"][1]["detail"]
    assert body["done"] == 2
    states = [api.reader.job(job.id).state for job in (running, waiting, over)]
    assert [state.cancel_requested for state in states] == [True, True, False]


async def test_deleting_takes_ended_jobs_too(api: ApiPlatform) -> None:
    running, over = await api.create("running"), await api.create("over")
    await api.record(Reports(running.id).started(), Reports(over.id).succeeded())
    async with api.client() as client:
        answer = await client.post(f"{JOBS}/delete", json={"ids": [running.id, over.id]})
    assert [result["outcome"] for result in answer.json()["results"]] == ["deleting", "deleting"]
    assert all(api.reader.job(job.id).state.delete_requested for job in (running, over))


async def test_what_is_no_list_of_ids_is_refused(api: ApiPlatform) -> None:
    async with api.client() as client:
        bodies: list[dict[str, list[str]]] = [{"ids": []}, {"ids": ["x"]}, {"ids": [str(uuid.uuid4())] * 501}, {}]
        for body in bodies:
            assert (await client.post(f"{JOBS}/cancel", json=body)).status_code == 422
        nothing_known = await client.post(f"{JOBS}/cancel", json={"ids": [str(uuid.uuid4())]})
    assert (nothing_known.status_code, nothing_known.json()["done"]) == (202, 0)
