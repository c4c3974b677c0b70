"""Reports over what is in the database, as the API and the command tell them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.api import FIRST, ApiPlatform, Reports, now
from tests.fixtures.remote import LORA, Told
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason

REPORTS = "/api/v1/reports"


async def trained(api: ApiPlatform, word: str, *, steps: int, seconds: float, captioning: str = "automatic") -> str:
    job = await api.create_spec({**LORA, "config": {**LORA["config"], "trigger_word": word, "captioning": captioning}})
    told = Told(job)
    facts = {"trigger_word": word, "captioning": captioning, "training_steps": steps, "dataset_size": 12}
    times = {"predict_time": seconds, "total_time": seconds + 10}
    await api.record(told.facts(**facts, **times, cost_usd=0.5, provider="replicate"), told.succeeded())
    return job.id


async def failed(api: ApiPlatform, word: str) -> None:
    config = {**LORA["config"], "trigger_word": word, "captioning": "manual"}
    job = await api.create_spec({**LORA, "config": config})
    message = "CUDA out of memory"
    event = EventFactory(job.id).failed(FIRST, reason=FailureReason.PROVIDER_FAILED, message=message, at=now())
    await api.record(event)


async def history(api: ApiPlatform) -> None:
    await trained(api, "TOK", steps=300, seconds=100)
    await trained(api, "TOK", steps=300, seconds=200, captioning="manual")
    await trained(api, "ADA", steps=1000, seconds=900)
    await failed(api, "TOK")


async def test_each_question_has_an_address(api: ApiPlatform) -> None:
    await history(api)
    async with api.client() as client:
        answers: dict[str, Any] = {
            name: (await client.get(f"{REPORTS}/{name}")).json()
            for name in ("trigger-words", "durations", "steps", "captioning", "dataset-sizes", "failures", "costs")
        }
        popular = (await client.get(f"{REPORTS}/trigger-words", params={"sort": "jobs", "limit": 1})).json()["rows"]
        points = (await client.get(f"{REPORTS}/dataset-sizes/trainings")).json()["rows"]
    assert [(row["trigger_word"], row["jobs"]) for row in answers["trigger-words"]["rows"]] == [("ADA", 1), ("TOK", 3)]
    assert [row["trigger_word"] for row in popular] == ["TOK"]
    assert popular[0]["by_status"] == {"completed": 2, "failed": 1}
    assert answers["durations"]["times"] == {"jobs": 3, "predict_time": 400.0, "total_time": 410.0}
    assert [(row["steps"], row["predict_time"]) for row in answers["steps"]["rows"]] == [(300, 150.0), (1000, 900.0)]
    assert [(row["captioning"], row["success_rate_percent"]) for row in answers["captioning"]["rows"]] == [
        ("automatic", 100.0),
        ("manual", 50.0),
    ]
    [bucket] = answers["dataset-sizes"]["rows"]
    assert (bucket["least"], bucket["most"], bucket["jobs"]) == (10, 19, 3)
    assert {(point["dataset_size"], point["seconds"]) for point in points} == {(12, 100.0), (12, 200.0), (12, 900.0)}
    assert [(row["reason"], row["jobs"]) for row in answers["failures"]["rows"]] == [("provider_failed", 1)]
    assert [(row["backend"], row["cost_usd"]) for row in answers["costs"]["rows"]] == [("replicate", 1.5)]


async def test_a_report_is_about_a_time(api: ApiPlatform) -> None:
    await history(api)
    tomorrow = (now() + timedelta(days=1)).isoformat()
    async with api.client() as client:
        later = (await client.get(REPORTS, params={"since": tomorrow})).json()
        before = (await client.get(REPORTS, params={"until": tomorrow})).json()
        wrong = await client.get(REPORTS, params={"since": tomorrow, "until": "2026-01-01T00:00:00Z"})
    assert (later["durations"]["jobs"], later["costs"], later["failures"]) == (0, [], [])
    assert (before["durations"]["jobs"], len(before["costs"]), before["since"]) == (3, 1, None)
    assert wrong.status_code == 422


async def test_an_empty_database_has_empty_reports(api: ApiPlatform) -> None:
    async with api.client() as client:
        report = (await client.get(REPORTS)).json()
    assert report["durations"] == {"jobs": 0, "predict_time": None, "total_time": None}
    assert {name for name, rows in report.items() if rows == []} == {
        "trigger_words",
        "steps",
        "captioning",
        "dataset_sizes",
        "failures",
        "costs",
    }


@pytest.mark.parametrize("params", [{"since": "7d"}, {"limit": 0}, {"sort": "size"}])
async def test_what_is_no_question_is_refused(api: ApiPlatform, params: dict[str, Any]) -> None:
    async with api.client() as client:
        assert (await client.get(f"{REPORTS}/trigger-words", params=params)).status_code == 422


async def test_usage_by_group_and_as_a_table_for_spreadsheets(api: ApiPlatform) -> None:
    await history(api)
    own = await api.create("=1+1", user="=HYPERLINK(0)")
    await api.record(Reports(own.id).started(), Reports(own.id).succeeded())
    async with api.client() as client:
        whole = (await client.get(f"{REPORTS}/usage")).json()
        by_backend = (await client.get(f"{REPORTS}/usage", params={"by": "backend"})).json()["rows"]
        table = await client.get(f"{REPORTS}/usage", params={"by": "user", "format": "csv"})
        assert (await client.get(f"{REPORTS}/usage", params={"by": "name"})).status_code == 422
    assert whole["by"] == ["day", "user", "kind", "backend"]
    own_row, orders = sorted(by_backend, key=lambda row: row["jobs"])
    assert (own_row["backend"], own_row["timed_jobs"], own_row["settled_usd"]) == ("ray", 1, None)
    assert (orders["settled_jobs"], orders["settled_usd"], orders["estimated_usd"]) == (3, 1.5, None)
    assert orders["unknown_jobs"] == 1
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    head, first, *_ = table.text.splitlines()
    assert head.startswith("user,jobs,settled_jobs,settled_usd")
    assert first.startswith("'=HYPERLINK(0),1,0,,")  # no formula, and no number where none is known
