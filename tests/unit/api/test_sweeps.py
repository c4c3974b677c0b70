"""A sweep over HTTP: its leaderboard, its curves, and its best trial as a version of a model."""

from __future__ import annotations

import csv
import hashlib
import io
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import FIRST, ApiPlatform
from tests.fixtures.model_versions import onnx_bytes
from tests.fixtures.sweeps import RATE, sweep_body, swept, tried
from thornback.artifacts.files import join, locate
from thornback.errors import Conflict
from thornback.jobs.events import EventFactory
from thornback.jobs.leaderboard import leaderboard
from thornback.jobs.state import JobState
from thornback.jobs.sweep import FACT_SWEEP
from thornback.models.best import publish_best
from thornback.store.sweeps import read_sweep

SWEEPS = "/api/v1/sweeps"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def a_sweep(api: ApiPlatform) -> tuple[JobState, list[JobState]]:
    """Four trials: one completed, the best one stopped, one that failed and one that waits."""
    sweep = await swept(api, budget={"trials": 8, "usd": 5.0})
    trials = [
        await tried(api, sweep, 1, 0.9, 0.5, 0.6),
        await tried(api, sweep, 2, 0.4, ends="stopped"),
        await tried(api, sweep, 3, 0.8, ends="failed"),
        await tried(api, sweep, 4),
    ]
    told = {FACT_SWEEP: {"ended_by": "the sweep's 2 hours are over"}}
    await api.record(EventFactory(sweep.id).described(FIRST, told, seq=1, at=datetime.now(UTC)))
    return sweep, trials


async def get(client: httpx2.AsyncClient, sweep: JobState, **params: Any) -> dict[str, Any]:
    answer = await client.get(f"{SWEEPS}/{sweep.id}", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_leaderboard_says_what_was_tried_and_why_it_ended(api: ApiPlatform) -> None:
    sweep, trials = await a_sweep(api)
    async with api.client() as client:
        body = await get(client, sweep)
    assert (body["metric"], body["mode"], body["unit"], body["search"], body["scheduler"]) == (
        "val_loss",
        "min",
        "epoch",
        "random",
        "fifo",
    )
    assert body["counts"] == {"waiting": 1, "running": 0, "completed": 1, "stopped": 1, "failed": 1}
    assert [row["number"] for row in body["trials"]] == [2, 1, 3, 4]
    best, second, third, last = body["trials"]
    assert (best["value"], best["is_best"], best["why"]) == (0.4, True, "stopped by asha at epoch 1")
    assert best == body["best"]
    assert (second["value"], second["best_at"], second["last"], second["reached"]) == (0.5, 2, 0.6, 3)
    assert (third["state"], third["why"]) == ("failed", "out of memory")
    assert (last["state"], last["value"], last["seconds"]) == ("waiting", None, None)
    assert body["ended_by"] == "the sweep's 2 hours are over"
    assert last["parameters"] == {RATE: 0.004, "config.lr_scheduler": "cosine"}
    assert [row["job_id"] for row in sorted(body["trials"], key=lambda row: row["number"])] == [
        job.id for job in trials
    ]
    assert body["budget"] | {"charged_usd": 0.0, "reserved_usd": 0.0} == {
        "trials": 8,
        "hours": None,
        "usd": 5.0,
        "charged_usd": 0.0,
        "reserved_usd": 0.0,
    }


@pytest.mark.parametrize(
    ("sort", "numbers"),
    [
        ("best", [2, 1, 3, 4]),
        ("value", [2, 1, 3, 4]),
        ("-value", [3, 1, 2, 4]),  # what has none stays last
        ("-number", [4, 3, 2, 1]),
        ("-reached", [1, 2, 3, 4]),
        ("state", [1, 3, 2, 4]),
    ],
)
async def test_sorted_and_paged(api: ApiPlatform, sort: str, numbers: list[int]) -> None:
    sweep, _ = await a_sweep(api)
    async with api.client() as client:
        whole = await get(client, sweep, sort=sort)
        page = await get(client, sweep, sort=sort, limit=2, offset=1)
        unknown = await client.get(f"{SWEEPS}/{sweep.id}", params={"sort": "luck"})
    assert [row["number"] for row in whole["trials"]] == numbers
    assert ([row["number"] for row in page["trials"]], page["total"]) == (numbers[1:3], 4)
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "sort")


async def test_as_a_table_for_spreadsheets(api: ApiPlatform) -> None:
    sweep, _ = await a_sweep(api)
    async with api.client() as client:
        answer = await client.get(f"{SWEEPS}/{sweep.id}", params={"format": "csv", "sort": "number"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4"]
    assert (rows[1][RATE], rows[1]["value"], rows[1]["why"]) == ("0.002", "0.4", "stopped by asha at epoch 1")
    assert rows[3]["value"] == ""


async def test_all_curves_for_one_chart(api: ApiPlatform) -> None:
    sweep, trials = await a_sweep(api)
    async with api.client() as client:
        body = (await client.get(f"{SWEEPS}/{sweep.id}/curves", params={"limit": 2})).json()
    assert (body["metric"], body["unit"]) == ("val_loss", "epoch")
    assert body["curves"] == [
        {"number": 2, "job_id": trials[1].id, "points": [[1, 0.4]]},
        {"number": 1, "job_id": trials[0].id, "points": [[1, 0.9], [2, 0.5], [3, 0.6]]},
    ]


async def test_what_is_no_sweep(api: ApiPlatform) -> None:
    job = await api.create()
    async with api.client() as client:
        other = await client.get(f"{SWEEPS}/{job.id}")
        unknown = await client.get(f"{SWEEPS}/{uuid.uuid4()}")
        empty = await get(client, await swept(api))
    assert (other.status_code, "no sweep" in other.json()["detail"]) == (404, True)
    assert unknown.json()["code"] == "job_not_found"
    assert (empty["trials"], empty["best"], empty["total"]) == ([], None, 0)


async def with_file(api: ApiPlatform, job: JobState) -> None:
    content = onnx_bytes()
    uri = join(api.settings.run_uri(job.id), "artifacts/model.onnx")
    locate(uri).write_bytes(content)
    facts: dict[str, Any] = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    make = EventFactory(job.id)
    await api.record(make.artifact(FIRST, name="model.onnx", type="onnx", uri=uri, at=datetime.now(UTC), **facts))


async def test_the_best_completed_trial_becomes_a_version(api: ApiPlatform) -> None:
    sweep, trials = await a_sweep(api)
    await with_file(api, trials[0])
    async with api.client() as client:
        before = (await get(client, sweep))["version"]
        made = await client.post(f"{SWEEPS}/{sweep.id}/publish", json={"model": "birds"})
        again = await client.post(f"{SWEEPS}/{sweep.id}/publish")
        after = (await get(client, sweep))["version"]
        lineage = (await client.get("/api/v1/models/birds/versions/1/lineage")).json()
        other = await client.post(f"{SWEEPS}/{sweep.id}/publish", json={"model": "other"})
    assert made.status_code == 201, made.text
    assert (made.json()["model"], made.json()["job_id"], made.json()["version"]) == ("birds", trials[0].id, 1)
    assert made.headers["location"] == "/api/v1/models/birds/versions/1"
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert (before, after) == (None, {"model": "birds", "version": 1, "user": "local"})
    assert lineage["recorded"]["sweep"] == {
        "job_id": sweep.id,
        "trial": 1,
        "parameters": {RATE: 0.001, "config.lr_scheduler": "cosine"},
        "metric": "val_loss",
        "mode": "min",
        "value": 0.5,
    }
    assert lineage["job"]["parent_id"] == sweep.id
    assert (other.status_code, "version 1 of model birds" in other.json()["detail"]) == (409, True)


async def test_nothing_is_published_of_a_sweep_without_a_completed_trial(api: ApiPlatform) -> None:
    sweep = await swept(api, publish=True, model="birds")
    trials = [await tried(api, sweep, 1, 0.5, ends="stopped")]
    with pytest.raises(Conflict, match="no trial of sweep"):
        await publish_best(api.recorder, api.settings, sweep, trials, now=NOW)
    finished = await tried(api, sweep, 2, 0.7)
    await with_file(api, finished)
    trials.append(await api.recorder.job(finished.id))
    version = await publish_best(api.recorder, api.settings, sweep, trials, now=NOW)
    assert (version.model, version.job_id) == ("birds", finished.id)


async def test_facts_that_are_nonsense_break_nothing(api: ApiPlatform) -> None:
    sweep = await swept(api)
    job = await tried(api, sweep, 1, 0.5, ends=None)
    nonsense = {
        "trial": {"number": -3, "parameters": [1], "source": "x"},
        "trial_result": {"value": "low", "best_at": 1.5},
    }
    await api.record(EventFactory(job.id).described(FIRST, nonsense, seq=3, at=datetime.now(UTC)))
    (row,) = read_sweep(api.reader, sweep.id, now=datetime.now(UTC)).trials
    assert (row.number, row.parameters, row.value, row.best_at, row.source) == (1, {}, None, None, None)


def test_the_greatest_is_the_best_where_more_is_better() -> None:
    made = [JobState(id=str(uuid.uuid4()), job_name=str(number)) for number in range(3)]
    assert [row.is_best for row in leaderboard(made, mode="max", now=NOW)] == [False] * 3


async def test_a_wrong_sweep_is_refused_with_its_field(api: ApiPlatform) -> None:
    wrong = sweep_body(space={"config.learning_rat": {"type": "uniform", "low": 0.1, "high": 0.2}})
    async with api.client() as client:
        answer = await client.post("/api/v1/training/jobs", json=wrong)
    assert answer.status_code == 422
    assert "did you mean config.learning_rate" in answer.json()["detail"]


async def test_what_a_sweep_would_cost_is_what_its_trials_do(api: ApiPlatform) -> None:
    config = {"trainer": "flux-lora-fast", "dataset": "https://x.example/d.zip", "trigger_word": "fox", "steps": 300}
    space = {"config.learning_rate": {"type": "loguniform", "low": 1e-5, "high": 1e-3}}
    trial = {"kind": "lora", "config": config}
    bounded = {"trial": trial, "space": space, "at_once": 3, "budget": {"trials": 8, "usd": 2.0, "hours": 0.01}}
    body = {"job_name": "foxes", "kind": "sweep", "backend": "fal", "config": {"trial": trial, "space": space}}
    async with api.client() as client:
        one = (
            await client.post("/api/v1/training/estimate", json={**trial, "backend": "fal", "job_name": "fox"})
        ).json()
        ten = (await client.post("/api/v1/training/estimate", json=body)).json()
        eight = (await client.post("/api/v1/training/estimate", json={**body, "config": bounded})).json()
        own = (await client.post("/api/v1/training/estimate", json=sweep_body())).json()
    assert ten["cost_usd"] == pytest.approx(10 * one["cost_usd"])
    assert ten["seconds"] == pytest.approx(3 * one["seconds"])  # 10 trials, 4 at a time
    assert ten["seconds_basis"].startswith("10 trials, 4 at a time, none ended early; each: 300 steps")
    assert (eight["cost_usd"], eight["seconds"]) == (2.0, 36.0)
    assert (own["cost_usd"], own["seconds"]) == (None, None)
