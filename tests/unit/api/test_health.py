"""Alive, ready, and what is missing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from serve_apps.api.app import create_app
from tests.fixtures.api import ApiPlatform
from thornback.errors import StoreUnavailable, Unavailable
from thornback.health import ask
from thornback.store.migrate import head_revision
from thornback.store.read import StoreReader


async def test_all_is_well(api: ApiPlatform) -> None:
    async with api.client() as client:
        alive, ready, detailed = [await client.get(path) for path in ("/healthz", "/readyz", "/api/v1/health")]
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert ready.status_code == detailed.status_code == 200
    body = detailed.json()
    assert (body["status"], body["streams"]) == ("ok", 0)
    assert {name: check["ok"] for name, check in body["checks"].items()} == {
        "database": True,
        "metrics": True,
        "dispatcher": True,
        "storage": True,
        "disk": True,
    }
    assert set(ready.json()["checks"]) == {"database", "metrics", "dispatcher"}
    assert body["checks"]["dispatcher"]["detail"] == {"running": 0}
    assert body["checks"]["metrics"]["detail"]["database"] == "ok"
    versions = body["versions"]
    assert (versions["thornback"], versions["schema"]) == (body["version"], head_revision())
    assert versions["database"].startswith("SQLite 3.")
    assert versions["python"].startswith("3.")
    assert {"ray", "torch"} < set(versions)
    assert ready.json()["versions"] == {}


@pytest.mark.parametrize(
    ("error", "text"),
    [(Unavailable("the dispatcher is away"), "the dispatcher is away"), (ZeroDivisionError(), "Zero")],
)
async def test_a_dispatcher_that_is_away_makes_it_not_ready(api: ApiPlatform, error: Exception, text: str) -> None:
    api.dispatcher = error
    async with api.client() as client:
        ready, alive = await client.get("/readyz"), await client.get("/healthz")
    assert (ready.status_code, ready.headers["retry-after"], alive.status_code) == (503, "2", 200)
    checks = ready.json()["checks"]
    assert {name for name, check in checks.items() if not check["ok"]} == {"dispatcher"}
    assert text in checks["dispatcher"]["error"]


class HangingReader(StoreReader):
    """A database that does not answer until the test ends."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def ping(self) -> None:
        self.released.wait(20)


async def test_a_part_that_hangs_is_given_up(api: ApiPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "CHECK_S", 0.1)
    reader = HangingReader()
    async with api.client(api.app(reader=reader)) as client:
        try:
            begun = time.monotonic()
            # More probes than threads: a hanging database must not make the others wait for it.
            answers = await asyncio.gather(*(client.get("/readyz") for _ in range(5)))
            took = time.monotonic() - begun
        finally:
            reader.released.set()
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["checks"]["database"]["error"] for answer in answers} == {"no answer within 0.1 s"}
    assert took < 5


class BrokenReader(StoreReader):
    """A database that is away."""

    def __init__(self) -> None:
        """Needs no engine."""

    def ping(self) -> None:
        raise StoreUnavailable("the database is away")


async def test_a_database_that_is_away(api: ApiPlatform) -> None:
    async with api.client(api.app(reader=BrokenReader())) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["error"] == "the database is away"


async def test_ray_is_looked_at_where_there_is_one(api: ApiPlatform) -> None:
    async def ray_health() -> Mapping[str, Any]:
        return {"nodes": 3}

    async def dispatcher_health() -> Mapping[str, Any]:
        return {}

    app = create_app(
        settings=api.settings,
        reader=api.reader,
        recorder=api.recorder,
        dispatcher_health=dispatcher_health,
        ray_health=ray_health,
    )
    async with api.client(app) as client:
        assert (await client.get("/readyz")).json()["checks"]["ray"]["detail"] == {"nodes": 3}


async def test_a_sender_that_is_away_is_told_and_turns_no_request_away(api: ApiPlatform) -> None:
    async def well() -> Mapping[str, Any]:
        return {}

    async def away() -> Mapping[str, Any]:
        raise Unavailable("the sender of webhooks is away: gone")

    app = create_app(
        settings=api.settings, reader=api.reader, recorder=api.recorder, dispatcher_health=well, sender_health=away
    )
    async with api.client(app) as client:
        assert (await client.get("/readyz")).status_code == 200
        answer = await client.get("/api/v1/health")
    assert answer.status_code == 200
    assert answer.json()["checks"]["notify"]["error"] == "the sender of webhooks is away: gone"


async def test_a_storage_that_cannot_be_written_is_told_and_turns_no_request_away(
    api: ApiPlatform, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    async with api.client(storage=str(tmp_path / "file")) as client:
        ready, answer = await client.get("/readyz"), await client.get("/api/v1/health")
    assert (ready.status_code, answer.status_code, answer.json()["status"]) == (200, 200, "degraded")
    assert "the storage cannot be written" in answer.json()["checks"]["storage"]["error"]


async def test_a_full_disk(api: ApiPlatform) -> None:
    async with api.client(disk_floor_bytes=2**62) as client:
        answer = await client.get("/api/v1/health")
    assert answer.json()["status"] == "degraded"
    assert "are free in" in answer.json()["checks"]["disk"]["error"]


class Tells:
    """The tracker of a provider whose breaker is open."""

    async def sync(self, job_id: str) -> object:
        raise AssertionError

    async def import_training(self, provider_id: str) -> str:
        raise AssertionError

    async def health(self) -> Mapping[str, Any]:
        return {"ready": True, "breaker": "open", "retry_at": "2026-01-31T12:00:00Z", "last_error": "502"}


async def test_a_provider_that_is_left_alone(api: ApiPlatform) -> None:
    app = api.app(trackers=lambda _: Tells(), replicate_api_token="r8_x")
    async with api.client(app) as client:
        answer = await client.get("/api/v1/health")
    checks = answer.json()["checks"]
    assert (answer.json()["status"], checks["provider:replicate"]["ok"]) == ("degraded", False)
    assert "left alone until 2026-01-31T12:00:00Z; the last was: 502" in checks["provider:replicate"]["error"]
    assert "provider:fal" not in checks
