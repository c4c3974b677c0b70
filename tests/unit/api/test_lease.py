"""An open stream ends with the right to look at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.fixtures.api import JOBS, ApiPlatform, serving
from tests.unit.api.test_access import Guarded
from thornback.access.changes import ChangeUser, RemoveMember, RevokeKey
from thornback.access.roles import Role

TEAM = "vision"
BEAT_S = 0.05
Change = Callable[[Guarded], Awaitable[Any]]


@pytest.fixture
async def guarded(api: ApiPlatform) -> Guarded:
    """A job of a team, and somebody in it."""
    made = Guarded(api)
    await made.add("root", Role.ADMIN)
    await made.add("tess", Role.TRAINER)
    await made.add_team(TEAM, "tess")
    return made


async def leave(guarded: Guarded) -> None:
    await guarded.api.recorder.administer(RemoveMember(team=TEAM, user="tess", at=datetime.now(UTC)))


async def revoke(guarded: Guarded) -> None:
    key_id = guarded.keys["tess"].split("_")[1]
    await guarded.api.recorder.administer(RevokeKey(id=key_id, at=datetime.now(UTC)))


async def switch_off(guarded: Guarded) -> None:
    await guarded.api.recorder.administer(ChangeUser(name="tess", is_active=False, at=datetime.now(UTC)))


@pytest.mark.parametrize(("change", "code"), [(leave, 4404), (revoke, 1008), (switch_off, 1008)])
async def test_a_socket_closes(guarded: Guarded, change: Change, code: int) -> None:
    job = await guarded.api.create(user="root", team=TEAM)
    app = guarded.api.app(access="on", heartbeat_s=BEAT_S)
    headers = {"Authorization": f"Bearer {guarded.keys['tess']}"}
    async with (
        serving(app) as place,
        connect(f"ws://{place}/ws/training/{job.id}", additional_headers=headers) as socket,
    ):
        for _ in range(4):  # and stays open until then
            await socket.recv()
        await change(guarded)
        assert await _closed(socket) == code


@pytest.mark.parametrize("change", [leave, revoke])
async def test_events_of_a_job_end(guarded: Guarded, change: Change) -> None:
    job = await guarded.api.create(user="root", team=TEAM)
    app = guarded.api.app(access="on", heartbeat_s=BEAT_S)
    headers = {"Authorization": f"Bearer {guarded.keys['tess']}"}
    async with serving(app) as place, asyncio.timeout(20), httpx2.AsyncClient(base_url=f"http://{place}") as client:
        async with client.stream("GET", f"{JOBS}/{job.id}/events", headers=headers) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            await change(guarded)
            assert [line async for line in lines]
        again = await client.get(f"{JOBS}/{job.id}/events", headers=headers)
        assert again.status_code in (401, 404)


async def test_the_stream_of_all_goes_on_with_what_is_seen_now(guarded: Guarded) -> None:
    app = guarded.api.app(access="on", heartbeat_s=BEAT_S)
    headers = {"Authorization": f"Bearer {guarded.keys['tess']}"}
    path = "/api/v1/training/events?kinds=created"
    async with serving(app) as place, asyncio.timeout(20), httpx2.AsyncClient(base_url=f"http://{place}") as client:  # noqa: SIM117 - three are enough
        async with client.stream("GET", path, headers=headers) as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            first = await guarded.api.create(user="root", team=TEAM)
            told = [await _data(lines)]
            await leave(guarded)
            await _beats(lines, 4)
            await guarded.api.create(user="root", team=TEAM)
            mine = await guarded.api.create(user="tess")
            told.append(await _data(lines))
    assert (first.id in told[0], mine.id in told[1]) == (True, True)


async def test_whoever_came_by_a_ticket(guarded: Guarded) -> None:
    job = await guarded.api.create(user="root", team=TEAM)
    async with guarded.client("tess") as client:
        ticket = (await client.post("/api/v1/tickets", json={"job_id": job.id})).json()["ticket"]
    app = guarded.api.app(access="on", heartbeat_s=BEAT_S)
    async with serving(app) as place, connect(f"ws://{place}/ws/training/{job.id}?ticket={ticket}") as socket:
        await socket.recv()
        await leave(guarded)
        assert await _closed(socket) == 4404


async def test_whoever_follows_a_job_hears_that_it_is_deleted(guarded: Guarded) -> None:
    """It is nobody's any more then, which hides its end from no one; and nobody is told the status it had before."""
    job = await guarded.api.create(user="root", team=TEAM)
    app = guarded.api.app(access="on", heartbeat_s=BEAT_S)
    headers = {"Authorization": f"Bearer {guarded.keys['tess']}"}
    async with (
        serving(app) as place,
        asyncio.timeout(20),
        httpx2.AsyncClient(base_url=f"http://{place}") as client,
        client.stream("GET", f"{JOBS}/{job.id}/events", headers=headers) as answer,
        connect(f"ws://{place}/ws/training/{job.id}", additional_headers=headers) as socket,
    ):
        lines = answer.aiter_lines()
        await _beats(lines, 4)
        await guarded.api.recorder.delete(job.id)
        rest = [line async for line in lines]
        assert json.loads(rest[rest.index("event: end") + 1].removeprefix("data:"))["status"] == "deleted"
        assert [json.loads(message) async for message in socket][-1]["event"] == "deleted"
        assert socket.close_code == 1000


async def _closed(socket: ClientConnection) -> int:
    """The code with which the server closes it."""
    async with asyncio.timeout(20):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006


async def _data(lines: Any) -> str:
    """The next event that was made by somebody."""
    async for line in lines:
        if line.startswith("data:") and '"created"' in line:
            return str(line)
    raise AssertionError("the stream has ended")


async def _beats(lines: Any, count: int) -> None:
    async for line in lines:
        count -= line.startswith(":")
        if count <= 0:
            return
