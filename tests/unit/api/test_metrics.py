"""Rows for the charts."""

from __future__ import annotations

import uuid
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import JOBS, ApiPlatform, Reports
from tests.fixtures.remote import training


async def rows(client: httpx2.AsyncClient, job_id: str, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"{JOBS}/{job_id}/metrics", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["metrics"]
    return found


async def test_epochs_by_default_steps_on_demand(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(
        reports.step(1, 1, train_loss=2.0, gradient_norm=0.5),
        reports.step(1, 2, train_loss=1.5),
        reports.epoch(1, train_loss=1.2, val_loss=1.4, train_accuracy=0.5, val_accuracy=0.4, learning_rate=0.1, f1=0.3),
        reports.step(2, 1, train_loss=1.0),
    )
    async with api.client() as client:
        epochs = await rows(client, job.id)
        steps = await rows(client, job.id, level="step")
        everything = await rows(client, job.id, level="all")
        train = await rows(client, job.id, level="all", phase="train", limit=2)
        rest = await rows(client, job.id, level="all", after_id=everything[1]["event_id"])
    assert len(epochs) == 1
    del epochs[0]["timestamp"], epochs[0]["event_id"]
    assert epochs[0] == {
        "epoch": 1,
        "batch": None,
        "phase": "val",
        "train_loss": 1.2,
        "val_loss": 1.4,
        "train_accuracy": 0.5,
        "val_accuracy": 0.4,
        "learning_rate": 0.1,
        "gradient_norm": None,
        "extra": {"f1": 0.3},
    }
    assert [(row["epoch"], row["batch"]) for row in steps] == [(1, 1), (1, 2), (2, 1)]
    assert steps[0]["gradient_norm"] == 0.5
    assert [row["batch"] for row in everything] == [1, 2, None, 1]
    assert [(row["epoch"], row["batch"]) for row in train] == [(1, 2), (2, 1)]  # the newest, oldest first
    assert [row["batch"] for row in rest] == [None, 1]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 100_001}, {"level": "hour"}, {"after_id": -1}])
async def test_a_wrong_parameter_is_named(api: ApiPlatform, params: dict[str, Any]) -> None:
    job = await api.create()
    async with api.client() as client:
        answer = await client.get(f"{JOBS}/{job.id}/metrics", params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in params


async def test_thinned_to_what_can_be_drawn_and_a_part_of_it_in_full(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    losses = [1.0 + (number == 700) * 50.0 for number in range(1000)]
    await api.record(*(reports.step(1, number + 1, train_loss=loss) for number, loss in enumerate(losses)))
    async with api.client() as client:
        answer = (await client.get(f"{JOBS}/{job.id}/metrics", params={"level": "step", "most": 100})).json()
        assert answer["thinned"]
        found = answer["metrics"]
        assert 40 <= len(found) <= 100
        assert (found[0]["batch"], found[-1]["batch"]) == (1, 1000)
        assert 51.0 in [row["train_loss"] for row in found]
        span = {"after_id": found[0]["event_id"], "before_id": found[0]["event_id"] + 61}
        part = (await client.get(f"{JOBS}/{job.id}/metrics", params={"level": "step", "most": 100, **span})).json()
        assert ([row["batch"] for row in part["metrics"]], part["thinned"]) == (list(range(2, 62)), False)
        alone = await client.get(f"{JOBS}/{job.id}/metrics", params={"before_id": 5})
        assert (alone.status_code, alone.json()["errors"][0]["field"]) == (422, "before_id")
        none = await client.get(f"{JOBS}/{uuid.uuid4()}/metrics", params={"most": 100})
        assert none.status_code == 404


async def test_each_point_of_progress_says_whose_it_is(api: ApiPlatform) -> None:
    job, told = await training(api)
    async with api.client() as client:
        assert (await client.get(f"{JOBS}/{job.id}/progress")).json()["points"] == []
        await api.record(told.progress(6.0, "estimated"), told.progress(36.35, "parsed"), told.succeeded())
        points = (await client.get(f"{JOBS}/{job.id}/progress")).json()["points"]
        assert [(point["percent"], point["origin"]) for point in points] == [
            (6.0, "estimated"),
            (36.35, "parsed"),
            (100.0, "reported"),
        ]
        assert (await client.get(f"{JOBS}/{uuid.uuid4()}/progress")).status_code == 404
        assert (await client.get(f"{JOBS}/{job.id}/progress", params={"most": 1})).status_code == 422
