"""A log by line number, and searching it."""

from __future__ import annotations

import uuid
from typing import Any

import httpx2
import pytest

from serve_apps.api import log_index
from serve_apps.api.routes import log_lines
from tests.fixtures.api import JOBS, ApiPlatform, Reports


async def _job(api: ApiPlatform) -> tuple[str, Reports]:
    job = await api.create()
    run = Reports(job.id)
    await api.record(run.started(), run.log("one", "Two"), run.log("three", rank=1), run.log("four ä", "Two two"))
    return f"{JOBS}/{job.id}/logs", run


async def _numbers(client: httpx2.AsyncClient, logs: str, q: str, **params: Any) -> list[int]:
    answer = await client.get(f"{logs}/search", params={"q": q, **params})
    assert (answer.status_code, answer.json()["next"]) == (200, None)
    return list(answer.json()["lines"])


async def test_lines_by_number_from_either_end(api: ApiPlatform) -> None:
    logs, run = await _job(api)
    async with api.client() as client:
        middle = (await client.get(f"{logs}/lines", params={"first": 1, "count": 2})).json()
        end = (await client.get(f"{logs}/lines", params={"first": -1, "count": 10})).json()
        ranked = (await client.get(f"{logs}/lines", params={"rank": 1})).json()
        await api.record(run.log("five"))
        grown = (await client.get(f"{logs}/lines", params={"first": 5})).json()
        missing = await client.get(f"{JOBS}/{uuid.uuid4()}/logs/lines")
    assert [(chunk["number"], chunk["lines"]) for chunk in middle["chunks"]] == [(1, ["Two"]), (2, ["three"])]
    assert (middle["total"], middle["ranks"]) == (5, [0, 1])
    assert [(chunk["number"], chunk["lines"]) for chunk in end["chunks"]] == [(4, ["Two two"])]
    assert (ranked["total"], ranked["chunks"][0]["lines"], ranked["chunks"][0]["number"]) == (1, ["three"], 0)
    assert (grown["total"], grown["chunks"][0]["lines"]) == (6, ["five"])
    assert grown["last_event_id"] > middle["last_event_id"]
    assert missing.status_code == 404


async def test_search(api: ApiPlatform) -> None:
    logs, _ = await _job(api)
    async with api.client() as client:
        assert await _numbers(client, logs, "TWO") == [1, 4]
        assert await _numbers(client, logs, "two", exact=True) == [4]
        assert await _numbers(client, logs, "^t", regex=True) == [1, 2, 4]
        assert await _numbers(client, logs, "^t", regex=True, exact=True) == [2]
        assert await _numbers(client, logs, "^t") == []
        assert await _numbers(client, logs, "t", rank=1) == [0]
        assert await _numbers(client, logs, "two", first=2) == [4]
        wrong = await client.get(f"{logs}/search", params={"q": "(", "regex": True})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "q")


async def test_a_long_search_comes_in_parts(api: ApiPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "SEARCH_S", 0.0)
    logs, _ = await _job(api)
    found, first = [], 0
    async with api.client() as client:
        for _ in range(10):
            part = (await client.get(f"{logs}/search", params={"q": "o", "first": first})).json()
            found += part["lines"]
            if part["next"] is None:
                break
            assert part["next"] > first
            first = part["next"]
    assert (found, part["next"]) == ([0, 1, 3, 4], None)


async def test_a_pattern_that_never_ends_is_refused(api: ApiPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_index, "LINE_S", 0.01)
    job = await api.create()
    await api.record(Reports(job.id).log("a" * 5000))
    async with api.client() as client:
        answer = await client.get(f"{JOBS}/{job.id}/logs/search", params={"q": "(.*a){12}[^a]$", "regex": True})
    assert answer.status_code == 422
    assert "takes too long" in answer.text
