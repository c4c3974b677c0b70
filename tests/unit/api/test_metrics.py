"""Rows for the charts."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.fixtures.api import JOBS, ApiPlatform, Reports


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
