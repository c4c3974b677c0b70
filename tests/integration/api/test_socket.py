"""The WebSocket of a job, on real sockets."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection

from tests.fixtures.api import ApiPlatform, Reports, eventually, now, serving
from tests.fixtures.image_sets import image_set, stored
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.status import FailureReason

WAIT_S = 10.0


class Client:
    """A connected client."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def next_of(self, event: str) -> dict[str, Any]:
        while (message := await self.next())["event"] != event:
            pass
        return message

    async def rest(self) -> tuple[list[dict[str, Any]], int]:
        """All further messages and the code with which the server closed."""
        messages = []
        try:
            while True:
                messages.append(await self.next())
        except websockets.ConnectionClosed as closed:
            return messages, closed.rcvd.code if closed.rcvd is not None else 1006


@asynccontextmanager
async def connected(address: str, job_id: str, query: str = "", **options: Any) -> AsyncIterator[Client]:
    async with websockets.connect(f"ws://{address}/ws/training/{job_id}{query}", **options) as socket:
        yield Client(socket)


def streams(app: FastAPI) -> int:
    count: int = app.state.context.hub.client_count
    return count


async def test_a_job_from_its_queue_to_its_end(api: ApiPlatform) -> None:
    job = await api.create(epochs=100)
    reports = Reports(job.id)
    async with serving(api.app()) as address, connected(address, job.id) as client:
        hello, first = await client.next(), await client.next()
        await api.record(reports.started())
        running = await client.next()
        values = {
            "train_loss": 0.234,
            "val_loss": 0.267,
            "train_accuracy": 0.87,
            "val_accuracy": 0.84,
            "learning_rate": 0.0005,
        }
        await api.record(reports.epoch(45, **values), reports.progress(45.0, epoch=45, of=100))
        status = await client.next()
        await api.record(reports.log("a line"), reports.succeeded())
        last, code = await client.rest()
    assert (hello["event"], hello["job_id"], hello["message"]) == ("connected", job.id, "Connected to training job")
    assert (first["event"], first["status"], first["error_message"]) == ("training_status", "queued", None)
    assert running["status"] == "running"
    wire = {name: status[name] for name in ("event", "job_id", "status", "current_epoch", "total_epochs")}
    assert wire == {
        "event": "training_status",
        "job_id": job.id,
        "status": "running",
        "current_epoch": 45,
        "total_epochs": 100,
    }
    assert (status["progress_percent"], status["metrics"]) == (45.0, values)
    assert status["timestamp"].endswith("Z")
    assert [(message["event"], message["status"], message["progress_percent"]) for message in last] == [
        ("training_status", "completed", 100.0)
    ]
    assert code == 1000


async def test_a_failure_tells_its_message(api: ApiPlatform) -> None:
    job = await api.create()
    text = "CUDA out of memory. Tried to allocate 2.00 GB"
    async with serving(api.app()) as address, connected(address, job.id) as client:
        await client.next_of("training_status")
        await api.record(
            EventFactory(job.id).failed(Attempt(), reason=FailureReason.OUT_OF_MEMORY, message=text, at=now())
        )
        messages, code = await client.rest()
    assert (messages[-1]["status"], messages[-1]["error_message"], code) == ("failed", text, 1000)


async def test_ping_and_messages_that_make_no_sense(api: ApiPlatform) -> None:
    job = await api.create()
    nonsense: list[str | bytes] = [
        "",
        "{",
        "[]",
        '"ping"',
        '{"event": "pong"}',
        '{"event": 1}',
        "x" * 5000,
        b"\xff\x00",
    ]
    async with serving(api.app()) as address, connected(address, job.id) as client:
        await client.next_of("training_status")
        for message in nonsense:
            await client.socket.send(message)
            answer = await client.next()
            assert (answer["event"], answer["code"]) == ("error", "invalid_message")
        await client.socket.send('{"event": "ping"}')
        assert (await client.next())["event"] == "pong"
        await client.socket.send(b'{"event": "ping", "more": [1]}')
        assert (await client.next()).keys() == {"event", "timestamp"}


async def test_silence_is_broken_by_the_status(api: ApiPlatform) -> None:
    job = await api.create()
    async with serving(api.app(heartbeat_s=0.05)) as address, connected(address, job.id) as client:
        await client.next_of("connected")
        beats = [await client.next() for _ in range(4)]
    assert {beat["event"] for beat in beats} == {"training_status"}
    assert len({beat["timestamp"] for beat in beats}) == 4


def test_the_default_heartbeat_is_no_rarer_than_the_source_promises(api: ApiPlatform) -> None:
    assert api.settings.heartbeat_s <= 5.0


async def test_what_changes_nothing_is_not_told_to_old_clients(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    async with serving(api.app()) as address, connected(address, job.id) as client:
        await client.next_of("training_status")
        await api.record(reports.started())
        assert (await client.next())["status"] == "running"
        await api.record(*(reports.log(f"line {number}") for number in range(20)))
        await api.record(reports.epoch(1))
        assert (await client.next())["metrics"]["val_loss"] == 1.5


async def test_a_client_that_comes_back_misses_nothing(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    query = "?include=metrics,log"
    seen: list[dict[str, Any]] = []
    async with serving(api.app()) as address:
        async with connected(address, job.id, query) as client:
            await client.next_of("training_status")
            await api.record(reports.started(), reports.epoch(1), reports.log("one"))
            seen += [await client.next_of("metrics"), await client.next_of("log")]
        await api.record(reports.epoch(2), reports.log("two"))
        async with connected(address, job.id, f"{query}&after={seen[-1]['event_id']}") as client:
            seen += [await client.next_of("metrics"), await client.next_of("log")]
            await api.record(reports.epoch(3))
            seen += [await client.next_of("metrics")]
        await api.record(reports.epoch(4), reports.succeeded())
        async with connected(address, job.id, f"{query}&last_event_id={seen[-1]['event_id']}") as client:
            messages, code = await client.rest()
            seen += [message for message in messages if message["event"] == "metrics"]
    assert [message.get("epoch", message.get("lines")) for message in seen] == [1, ["one"], 2, ["two"], 3, 4]
    ids = [message["event_id"] for message in seen]
    assert ids == sorted(set(ids))
    assert seen[0]["val_loss"] == 1.5
    assert (messages[-1]["status"], code) == ("completed", 1000)


async def test_pictures_are_told_as_they_arrive(api: ApiPlatform) -> None:
    job, told = await image_set(api)
    async with serving(api.app()) as address, connected(address, job.id, "?include=item") as client:
        await client.next_of("training_status")
        await api.record(*stored(api, told, 2), told.facts(images_total=3, images_done=1, images_failed=0))
        seen = [await client.next_of("item") for _ in range(4)]
        status = await client.next_of("training_status")
    assert [(message["item"], message["status"]) for message in seen] == [
        (2, "intended"),
        (2, "sent"),
        (2, "succeeded"),
        (2, "stored"),
    ]
    assert seen[-1]["image_url"] == f"/api/v1/image-sets/{job.id}/images/2"
    assert (status["images_done"], status["images_total"]) == (1, 3)


async def test_a_job_that_has_ended_is_told_in_full_on_demand(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(reports.started(), *(reports.epoch(number) for number in range(1, 2500)), reports.succeeded())
    async with serving(api.app()) as address:
        async with connected(address, job.id) as client:
            short, code = await client.rest()
        async with connected(address, job.id, "?include=metrics&after=0") as client:
            full, _ = await client.rest()
    assert [message["event"] for message in short] == ["connected", "training_status"]
    assert (short[1]["status"], code) == ("completed", 1000)
    assert [message["epoch"] for message in full if message["event"] == "metrics"] == list(range(1, 2500))


async def test_a_cursor_of_another_database_starts_over(api: ApiPlatform) -> None:
    job = await api.create()
    await api.record(Reports(job.id).epoch(1))
    async with serving(api.app()) as address, connected(address, job.id, "?include=metrics&after=999999") as client:
        assert (await client.next())["reset"] is True
        assert (await client.next_of("metrics"))["epoch"] == 1


async def test_deleting_ends_the_stream(api: ApiPlatform) -> None:
    job = await api.create()
    async with serving(api.app()) as address, connected(address, job.id) as client:
        await client.next_of("training_status")
        await api.record(Reports(job.id).cancelled())
        await api.recorder.delete(job.id)
        messages, code = await client.rest()
    assert messages[-1]["event"] == "deleted" or messages[-1]["status"] == "cancelled"
    assert code == 1000


@pytest.mark.parametrize(
    ("job_id", "query", "code", "problem"),
    [
        (str(uuid.UUID(int=7)), "", 4404, "job_not_found"),
        ("not-an-id", "", 4404, "job_not_found"),
        (None, "?include=everything", 4400, "invalid_input"),
        (None, "?after=yesterday", 4400, "invalid_input"),
        (None, "?after=-1", 4400, "invalid_input"),
        (None, "?after=99999999999999999999", 4400, "invalid_input"),
    ],
)
async def test_refusals_say_why(api: ApiPlatform, job_id: str | None, query: str, code: int, problem: str) -> None:
    job = await api.create()
    async with serving(api.app()) as address, connected(address, job_id or job.id, query) as client:
        messages, closed = await client.rest()
    assert [(message["event"], message["code"]) for message in messages] == [("error", problem)]
    assert closed == code


async def test_there_is_a_cap_and_a_place_that_is_left_is_free_again(api: ApiPlatform) -> None:
    job = await api.create()
    app = api.app(max_streams=2)
    async with serving(app) as address:
        async with connected(address, job.id) as first, connected(address, job.id) as second:
            await first.next_of("training_status")
            await second.next_of("training_status")
            async with connected(address, job.id) as third:
                messages, code = await third.rest()
            assert (messages[0]["code"], code) == ("too_many_streams", 1013)
        await eventually(lambda: streams(app) == 0)
        async with connected(address, job.id) as client:
            assert (await client.next_of("training_status"))["status"] == "queued"


async def test_a_client_that_vanishes_is_forgotten_though_nothing_happens(api: ApiPlatform) -> None:
    job = await api.create()
    app = api.app()
    async with serving(app) as address, connected(address, job.id) as client:
        await client.next_of("training_status")
        assert streams(app) == 1
        client.socket.transport.abort()
        await eventually(lambda: streams(app) == 0, within_s=3)


async def test_a_restarting_server_says_so(api: ApiPlatform) -> None:
    job = await api.create()
    app = api.app()
    async with serving(app) as address, connected(address, job.id) as client:
        await client.next_of("training_status")
        app.state.context.hub.close()
        messages, code = await client.rest()
        async with connected(address, job.id) as late:
            _, late_code = await late.rest()
    assert (messages, code, late_code) == ([], 1012, 1012)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_another_sites_page_cannot_listen(api: ApiPlatform, origin: str) -> None:
    job = await api.create()
    async with serving(api.app()) as address:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connected(address, job.id, origin=origin):
                pass
        assert refused.value.response.status_code == 403
        async with connected(address, job.id, origin=f"http://{address}") as client:
            assert (await client.next())["event"] == "connected"
        port = int(address.rpartition(":")[2])
        with pytest.raises(websockets.InvalidStatus) as renamed:
            async with connected("evil.example", job.id, host="127.0.0.1", port=port):
                pass
        assert renamed.value.response.status_code == 403
