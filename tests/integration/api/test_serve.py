"""The API on Ray Serve: several replicas, one killed, all told to go."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import ray
import websockets
from ray import serve
from ray.util.state import list_actors
from websockets.asyncio.client import ClientConnection

from tests.fixtures.api import JOBS, Reports, eventually
from tests.fixtures.ray import RayNode, free_port
from thornback.dispatch.actor import start_dispatcher
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.port import Recorder
from thornback.settings import Settings
from thornback.store.migrate import upgrade

REPLICAS = 2
WAIT_S = 60.0


class Platform:
    """A running platform behind Serve."""

    def __init__(self, settings: Settings, ray_address: str) -> None:
        self.settings = settings
        self.ray_address = ray_address
        self.address = f"127.0.0.1:{settings.port}"
        self.recorder: Recorder = connect(settings)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(base_url=f"http://{self.address}", timeout=WAIT_S) as client:
            yield client

    @asynccontextmanager
    async def socket(self, job_id: str, query: str = "") -> AsyncIterator[ClientConnection]:
        url = f"ws://{self.address}/ws/training/{job_id}{query}"
        async with websockets.connect(url, max_queue=None, open_timeout=WAIT_S) as socket:
            yield socket

    async def queued(self, client: httpx2.AsyncClient) -> str:
        """A job that waits: it fits what the cluster could grow to, and the cluster does not grow."""
        body = {"job_name": "served", "config": {"accelerator": "cpu", "devices": 32}}
        answer = await client.post(JOBS, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def replicas(self, deployment: str) -> dict[str, int]:
        """Process id by actor id of the replicas that are alive."""
        alive = list_actors(address=self.ray_address, filters=[("state", "=", "ALIVE")], limit=1000)
        return {actor.actor_id: actor.pid or 0 for actor in alive if f"#{deployment}#" in (actor.name or "")}


@pytest.fixture(scope="module")
def platform(ray_node: RayNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Both applications with two replicas each."""
    from serve_apps.api.deployment import api, live

    settings = ray_node.settings(tmp_path_factory.mktemp("serve"), port=free_port(), cluster_limits={"CPU": 64})
    upgrade(settings.database_url)
    actors = [start_metrics_actor(settings), start_dispatcher(settings)]
    overrides = {"home": str(settings.home), "namespace": settings.namespace, "port": settings.port}
    arguments = {"num_replicas": REPLICAS, "settings": overrides}
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": settings.port})
        serve.run(api(arguments), name="api", route_prefix="/")
        serve.run(live(arguments), name="live", route_prefix="/ws")
        yield Platform(settings, ray_node.address)
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        for actor in actors:
            ray.kill(actor)


async def message_of(socket: ClientConnection, event: str) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_S):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["event"] == event:
                return message


async def test_every_part_is_ready(platform: Platform) -> None:
    async with platform.client() as client:

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await eventually(is_ready, within_s=WAIT_S)
        body = (await client.get("/api/v1/health")).json()
        page = await client.get("/")
    assert {name for name, check in body["checks"].items() if check["ok"]} == {
        "database",
        "disk",
        "metrics",
        "dispatcher",
        "ray",
        "storage",
    }
    assert body["checks"]["ray"]["detail"]["nodes"] == 1
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


async def test_all_replicas_tell_the_same_job(platform: Platform) -> None:
    async with platform.client() as client, asyncio.timeout(WAIT_S):
        job_id = await platform.queued(client)
        answers = await asyncio.gather(*(client.get(f"{JOBS}/{job_id}") for _ in range(20)))
        assert {answer.json()["job"]["id"] for answer in answers} == {job_id}
        url = answers[0].json()["websocket_url"]
        assert answers[0].json()["job"]["status"] in ("queued", "pending")
        assert url == f"ws://{platform.address}/ws/training/{job_id}"
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(_watch_an_epoch(platform, job_id))
            await platform.recorder.record([Reports(job_id).epoch(1)])
        async with platform.socket(job_id, "?include=metrics&after=0") as socket:
            assert (await message_of(socket, "metrics"))["epoch"] == 1


async def test_a_replica_that_is_killed_comes_back_and_nothing_is_missed(platform: Platform) -> None:
    async with platform.client() as client, asyncio.timeout(120):
        job_id = await platform.queued(client)
        reports = Reports(job_id)
        ids: list[int] = []
        epochs: list[int] = []

        async def watch() -> None:
            while True:
                try:
                    query = f"?include=metrics&after={ids[-1] if ids else 0}"
                    async with platform.socket(job_id, query) as socket:
                        async for text in socket:
                            message = json.loads(text)
                            if message["event"] == "metrics":
                                ids.append(message["event_id"])
                                epochs.append(message["epoch"])
                except (websockets.WebSocketException, OSError):
                    await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        await platform.recorder.record([reports.epoch(1)])
        await eventually(lambda: epochs == [1], within_s=WAIT_S)
        before = await asyncio.to_thread(platform.replicas, "Live")
        assert len(before) == REPLICAS
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        for epoch in range(2, 30):
            await platform.recorder.record([reports.epoch(epoch)])
        await eventually(lambda: epochs == list(range(1, 30)), within_s=WAIT_S)

        async def all_new() -> bool:
            alive = await asyncio.to_thread(platform.replicas, "Live")
            return len(alive) == REPLICAS and not alive.keys() & before.keys()

        await eventually(all_new, within_s=WAIT_S)
        watching.cancel()
        assert ids == sorted(set(ids))


async def test_replicas_that_go_close_their_streams_cleanly(platform: Platform) -> None:
    """Last in this file: it takes the application away."""
    async with platform.client() as client, asyncio.timeout(WAIT_S):
        job_id = await platform.queued(client)
        async with platform.socket(job_id) as socket, client.stream("GET", f"{JOBS}/{job_id}/events") as events:
            await message_of(socket, "training_status")
            lines = events.aiter_lines()
            assert await anext(lines) == ": connected"
            began = asyncio.get_running_loop().time()
            removing = asyncio.gather(*(asyncio.to_thread(serve.delete, name) for name in ("live", "api")))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await message_of(socket, "nothing of this name")
            rest = [line async for line in lines]
            await removing
            took = asyncio.get_running_loop().time() - began
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert "event: end" not in rest
    assert took < 15  # and not graceful_shutdown_timeout_s, after which Serve kills


async def _watch_an_epoch(platform: Platform, job_id: str) -> None:
    async with platform.socket(job_id, "?include=metrics&after=0") as socket:
        assert (await message_of(socket, "metrics"))["epoch"] == 1
