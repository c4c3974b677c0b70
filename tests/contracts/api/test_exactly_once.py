"""Every event once and in order, whichever replica a client comes back to, and whenever."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import pytest
import websockets

from serve_apps.api import hub as hub_module
from serve_apps.api.context import Reads
from serve_apps.api.hub import Hub
from tests.fixtures.api import JOBS, ApiPlatform, Reports, serving


@asynccontextmanager
async def hubs(platform: ApiPlatform, count: int) -> AsyncIterator[list[Hub]]:
    """The fan-out of several replicas, without the replicas."""
    made = [Hub(platform.recorder, Reads(platform.reader), max_streams=100) for _ in range(count)]
    for hub in made:
        hub.start()
    try:
        yield made
    finally:
        for hub in made:
            await hub.stop()


async def wander(
    replicas: list[Hub], job_id: str | None, chance: random.Random, *, until: asyncio.Event, newest: list[int]
) -> list[int]:
    """A client that reads at its own pace, leaves at random and comes back elsewhere; the ids it saw."""
    seen: list[int] = []
    while not (until.is_set() and seen and seen[-1] >= newest[0]):
        with await chance.choice(replicas).join(job_id=job_id, after=seen[-1] if seen else 0) as stream:
            for _ in range(chance.randrange(1, 12)):
                seen += [event.id for event in await stream.next(0.02)]
                if chance.random() < 0.5:
                    await asyncio.sleep(chance.random() * 0.03)  # slower than the writer: its queue overflows
    return seen


@pytest.mark.parametrize("seed", range(3))
async def test_clients_that_wander_between_hubs(
    platform: ApiPlatform, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "QUEUE_EVENTS", 6)
    monkeypatch.setattr(hub_module, "REPLAY_EVENTS", 5)
    chance = random.Random(seed)
    jobs = [(await platform.create(f"job {number}")).id for number in range(3)]
    reports = {id: Reports(id) for id in jobs}
    done, newest = asyncio.Event(), [0]

    async def write() -> None:
        for number in range(1, 80):
            id = chance.choice(jobs)
            burst = [reports[id].step(number, batch, train_loss=1.0) for batch in range(chance.randrange(1, 15))]
            await platform.record(*burst, reports[id].log("x"))
            await asyncio.sleep(chance.random() * 0.01)
        await platform.record(*(reports[id].epoch(1) for id in jobs))
        newest[0] = min(platform.reader.events(0, job_id=id, limit=100_000)[-1].id for id in jobs)
        done.set()

    async with hubs(platform, 3) as replicas, asyncio.timeout(60):
        wanted: list[str | None] = [None, None, *jobs, *jobs]
        clients = [
            asyncio.create_task(wander(replicas, id, random.Random(seed * 100 + number), until=done, newest=newest))
            for number, id in enumerate(wanted)
        ]
        await write()
        seen = await asyncio.gather(*clients)
        assert [hub.client_count for hub in replicas] == [0, 0, 0]
    for id, ids in zip(wanted, seen, strict=True):
        truth = [event.id for event in platform.reader.events(0, job_id=id, limit=100_000)]
        assert ids == truth[: len(ids)]
        assert ids[-1] >= newest[0]


async def test_clients_that_wander_between_servers(platform: ApiPlatform) -> None:
    """The same over real sockets: half of the clients by WebSocket, half by server-sent events."""
    job = await platform.create(epochs=1000)
    reports = Reports(job.id)

    async def by_socket(addresses: list[str], chance: random.Random) -> list[int]:
        seen: list[int] = []
        while True:
            query = f"include=metrics&after={seen[-1] if seen else 0}"
            url = f"ws://{chance.choice(addresses)}/ws/training/{job.id}?{query}"
            # Without a limit on its queue: a client that pauses reading does not see the answer to its close.
            async with websockets.connect(url, max_queue=None) as socket:
                try:
                    for _ in range(chance.randrange(5, 120)):
                        message = json.loads(await socket.recv())
                        if message["event"] == "metrics":
                            seen.append(message["event_id"])
                except websockets.ConnectionClosed as closed:
                    if closed.rcvd is not None and closed.rcvd.code == 1000:
                        return seen

    async def by_events(addresses: list[str], chance: random.Random) -> list[int]:
        seen: list[int] = []
        while True:
            headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
            url = f"http://{chance.choice(addresses)}{JOBS}/{job.id}/events"
            async with http.stream("GET", url, headers=headers, params={"kinds": "metrics"}) as response:
                if response.status_code == 204:
                    return seen
                left = chance.randrange(5, 300)
                async for line in response.aiter_lines():
                    if line.startswith("id: "):
                        seen.append(int(line[4:]))
                    if line == "event: end":
                        return seen
                    left -= 1
                    if not left:
                        break

    async with httpx2.AsyncClient(timeout=10) as http, AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(serving(platform.app())) for _ in range(2)]
        clients = [
            asyncio.create_task((by_socket if number % 2 else by_events)(addresses, random.Random(number)))
            for number in range(8)
        ]
        for epoch in range(1, 151):
            await platform.record(reports.step(epoch, 1, train_loss=1.0), reports.epoch(epoch))
        await platform.record(reports.succeeded())
        async with asyncio.timeout(60):
            seen = await asyncio.gather(*clients)
    truth = [event.id for event in platform.reader.events(0, job_id=job.id) if event.kind == "metrics"]
    assert len(truth) == 300
    assert [ids == truth for ids in seen] == [True] * 8


async def test_the_routes_answer_alike_on_both_databases(platform: ApiPlatform) -> None:
    async with platform.client() as client:
        created = (await client.post(JOBS, json={"job_name": "Größe", "config": {"epochs": 3}})).json()
        reports = Reports(created["id"])
        await platform.record(reports.started(), reports.epoch(1), reports.log("a line"))
        listed = (await client.get(JOBS, params={"name": "GRÖSSE"})).json()
        detail = (await client.get(f"{JOBS}/{created['id']}")).json()
        ready = await client.get("/readyz")
    assert [row["id"] for row in listed["jobs"]] == [created["id"]]
    assert detail["job"]["created_at"] == created["created_at"]
    assert detail["job"]["started_at"].endswith("Z")
    assert [row["epoch"] for row in detail["recent_metrics"]] == [1]
    assert ready.status_code == 200
