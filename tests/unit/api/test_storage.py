"""How full the storage is, and deleting what may go."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serve_apps.api.storage_usage import STALE, StorageUsage
from tests.fixtures.api import ApiPlatform, eventually
from thornback.artifacts.usage import Area

STORAGE = "/api/v1/storage"


async def test_measured_in_the_background_and_swept(api: ApiPlatform) -> None:
    root = Path(api.settings.storage)
    for name, age_h in (("temp/old", 25), ("temp/new", 1), ("loras/ada/x", 99)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
        then = (datetime.now(UTC) - timedelta(hours=age_h)).timestamp()
        os.utime(path, (then, then))
    async with api.client() as client:
        first = (await client.get(STORAGE)).json()
        assert (first["measured_at"], first["is_measuring"], first["areas"]) == (None, True, [])

        async def is_measured() -> bool:
            return bool((await client.get(STORAGE)).json()["areas"])

        await eventually(is_measured)
        areas = {area["name"]: area for area in (await client.get(STORAGE)).json()["areas"]}
        assert areas["temp"] == {"name": "temp", "files": 2, "size_bytes": 10}
        assert (await client.post(f"{STORAGE}/sweep")).json() == {"files": 1, "size_bytes": 5}

        async def is_less() -> bool:
            found = (await client.get(STORAGE)).json()["areas"]
            return bool({"name": "temp", "files": 1, "size_bytes": 5} in found)

        await eventually(is_less)
        assert (await client.post(f"{STORAGE}/measure")).status_code == 202


async def test_one_look_at_a_time_and_none_too_often() -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    looks, gate = [0], threading.Event()

    def measure() -> Sequence[Area]:
        looks[0] += 1
        gate.wait(20)
        if looks[0] == 3:
            raise OSError("the disk is away")
        return [Area(name="runs", files=looks[0])]

    usage = StorageUsage(measure, now=lambda: now[0])
    usage.refresh()
    usage.refresh(anew=True)
    assert usage.is_measuring
    gate.set()
    await usage.settled()
    usage.refresh()
    assert (looks, usage.is_measuring) == ([1], False)  # it is fresh
    now[0] += STALE
    usage.refresh()
    await usage.settled()
    usage.refresh(anew=True)
    await usage.settled()
    assert usage.last is not None
    # what was found before stays, with the reason why there is nothing newer
    assert (looks, usage.last.problem, [area.files for area in usage.last.areas]) == ([3], "the disk is away", [2])


async def test_what_breaks_in_an_unknown_way_is_told(caplog: object) -> None:
    def measure() -> Sequence[Area]:
        raise ZeroDivisionError

    usage = StorageUsage(measure, now=lambda: datetime.now(UTC))
    usage.refresh()
    await asyncio.wait_for(usage.settled(), 20)
    assert usage.last is not None
    assert "the log of the API" in str(usage.last.problem)
