"""Live streams while the servers behind them are killed, cut off all at once and rolled: each event once, in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress

import httpx2
import psutil
import pytest
import ray
import websockets
from ray import serve

from tests.fixtures.api import JOBS, Reports, eventually
from tests.fixtures.ray import RayNode, free_port
from tests.integration.api.test_serve import REPLICAS, Platform
from thornback.dispatch.actor import start_dispatcher
from thornback.metrics.actor import start_metrics_actor
from thornback.settings import Settings
from thornback.store.migrate import upgrade

SOCKETS, SSE = 40, 10
MESSAGES_PER_S, REQUESTS_PER_S = 20.0, 100.0
PHASE = 100  # messages before and after each fault
WITHIN_S = 300.0
_AGAIN_S = 0.1
_TROUBLE = (websockets.WebSocketException, httpx2.TransportError, OSError)


def deploy(settings: Settings, *, log_level: str) -> None:
    """Both applications; another level is another version, and replaces the replicas one after the other."""
    from serve_apps.api.deployment import api, live

    overrides = {"home": str(settings.home), "namespace": settings.namespace, "port": settings.port}
    arguments = {"num_replicas": REPLICAS, "settings": {**overrides, "log_level": log_level}}
    serve.run(api(arguments), name="api", route_prefix="/")
    serve.run(live(arguments), name="live", route_prefix="/ws")


@pytest.fixture
def platform(ray_node: RayNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = ray_node.settings(
        tmp_path_factory.mktemp("streams"), port=free_port(), cluster_limits={"CPU": 64}, log_level="ERROR"
    )
    upgrade(settings.database_url)
    actors = [start_metrics_actor(settings), start_dispatcher(settings)]
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": settings.port})
        deploy(settings, log_level="ERROR")
        yield Platform(settings, ray_node.address)
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        for actor in actors:
            ray.kill(actor)


class Client:
    """Follows a job, and comes back with the last id that it has."""

    def __init__(self, platform: Platform, job_id: str, *, is_socket: bool) -> None:
        self._platform, self._job_id, self._is_socket = platform, job_id, is_socket
        self.epochs: list[int] = []
        self.ids: list[int] = [0]
        self.cuts = 0
        self._said = 0  # the epoch of the event that is being read

    async def run(self) -> None:
        """For ever."""
        follow = self._socket if self._is_socket else self._sse
        while True:
            with suppress(*_TROUBLE):
                await follow()
            self.cuts += 1
            await asyncio.sleep(_AGAIN_S)

    async def _socket(self) -> None:
        async with self._platform.socket(self._job_id, f"?include=metrics&after={self.ids[-1]}") as socket:
            async for text in socket:
                message = json.loads(text)
                if message["event"] == "metrics":
                    self._take(message["event_id"], message["epoch"])

    async def _sse(self) -> None:
        headers = {"Last-Event-ID": str(self.ids[-1])}
        async with (
            self._platform.client() as http,
            http.stream("GET", f"{JOBS}/{self._job_id}/events", headers=headers) as response,
        ):
            kind, id = "", 0
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("id: "):
                    id = int(line[4:])
                elif line.startswith("data: ") and kind == "metrics":
                    # the id of an event may stand before or behind its data
                    self._said = json.loads(line[6:])["epoch"]
                elif not line and kind:
                    if kind == "metrics":
                        self._take(id, self._said)
                    elif id:
                        self.ids.append(max(id, self.ids[-1]))
                    kind = ""

    def _take(self, id: int, epoch: int) -> None:
        self.ids.append(id)
        self.epochs.append(epoch)


class Load:
    """100 requests a second, each once, and each failure counted."""

    def __init__(self, platform: Platform, path: str) -> None:
        self._platform, self._path = platform, path
        self.answers: Counter[str] = Counter()

    async def run(self) -> None:
        """For ever."""
        async with self._platform.client() as http, asyncio.TaskGroup() as group:
            waiting: set[asyncio.Task[None]] = set()
            while True:
                if len(waiting) < REQUESTS_PER_S:  # a machine that cannot is not flooded
                    task = group.create_task(self._one(http))
                    waiting.add(task)
                    task.add_done_callback(waiting.discard)
                await asyncio.sleep(1 / REQUESTS_PER_S)

    async def _one(self, http: httpx2.AsyncClient) -> None:
        try:
            self.answers[str((await http.get(self._path)).status_code)] += 1
        except httpx2.TransportError as error:
            self.answers[type(error).__name__] += 1


@asynccontextmanager
async def running(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Tasks that end with the block."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def kill_serve(name: str) -> None:
    """kill -9 of a process of our own Serve, by the beginning of its title."""
    ours = psutil.Process().children(recursive=True)
    found = [one.pid for one in ours if _title(one).startswith(f"ray::{name}")]
    assert found, name
    os.kill(found[0], signal.SIGKILL)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_every_client_has_every_event_once(platform: Platform) -> None:
    async with platform.client() as http:
        job_id = await platform.queued(http)
    clients = [Client(platform, job_id, is_socket=number < SOCKETS) for number in range(SOCKETS + SSE)]
    load, reports, said = Load(platform, f"{JOBS}/{job_id}"), Reports(job_id), 0

    async def say(count: int) -> None:
        nonlocal said
        for _ in range(count):
            said += 1
            await platform.recorder.record([reports.epoch(said)])
            await asyncio.sleep(1 / MESSAGES_PER_S)

    async def all_have_all() -> None:
        whole = list(range(1, said + 1))
        await eventually(lambda: all(client.epochs[-1:] == whole[-1:] for client in clients), within_s=WITHIN_S)
        assert [client.epochs == whole for client in clients] == [True] * len(clients)

    faults = {
        "a replica of the streams is killed": lambda: kill_serve("ServeReplica:live"),
        "a replica of the API is killed": lambda: kill_serve("ServeReplica:api"),
        "all connections are cut at once": lambda: kill_serve("ProxyActor"),
        "all replicas are rolled": lambda: deploy(platform.settings, log_level="CRITICAL"),
    }
    async with running(*(client.run() for client in clients), load.run()):
        await say(PHASE)
        await all_have_all()
        for what, fault in faults.items():
            cuts, before = sum(client.cuts for client in clients), load.answers.copy()
            talking = asyncio.create_task(say(2 * PHASE))
            await asyncio.to_thread(fault)
            await talking
            await all_have_all()
            cuts = sum(client.cuts for client in clients) - cuts
            print(f"\n{what}: {cuts} streams cut; requests sent once: {dict(load.answers - before)}")
    assert all(client.ids == sorted(client.ids) for client in clients)
    assert sum(client.cuts for client in clients) >= SOCKETS + SSE  # the faults were there

    async def nobody_listens() -> bool:
        async with platform.client() as http:
            return bool((await http.get("/api/v1/health")).json()["streams"] == 0)

    await eventually(nobody_listens, within_s=60)
