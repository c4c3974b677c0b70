"""Server-sent events and logs, on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import JOBS, ApiPlatform, Reports, eventually, serving

WAIT_S = 10.0
ALL = "/api/v1/training/events"


class Stream:
    """An open stream of server-sent events."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.comments = 0
        self.retry_ms: int | None = None

    async def next(self) -> tuple[str, dict[str, Any], int | None]:
        """(event, data, id) of the next event."""
        event, data, id = "message", "", None
        async with asyncio.timeout(WAIT_S):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line.startswith("retry: "):
                    self.retry_ms = int(line[7:])
                elif line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif line.startswith("id: "):
                    id = int(line[4:])
                elif not line and data:
                    return event, json.loads(data), id
        raise StopAsyncIteration

    async def rest(self) -> list[tuple[str, dict[str, Any], int | None]]:
        """Everything until the server ends the stream."""
        events = []
        try:
            while True:
                events.append(await self.next())
        except StopAsyncIteration:
            return events

    async def until(self, kind: str) -> tuple[str, dict[str, Any], int | None]:
        while (found := await self.next())[0] != kind:
            pass
        return found


@asynccontextmanager
async def opened(address: str, path: str, **options: Any) -> AsyncIterator[Stream]:
    client = httpx2.AsyncClient(base_url=f"http://{address}", timeout=WAIT_S)
    async with client, client.stream("GET", path, **options) as response:
        yield Stream(response)


def kinds(events: list[tuple[str, dict[str, Any], int | None]]) -> list[str]:
    return [kind for kind, _, id in events if id is not None]


async def test_a_job_from_its_first_event_to_its_last(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(reports.started())
    async with serving(api.app()) as address, opened(address, f"{JOBS}/{job.id}/events") as stream:
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-store"
        await stream.until("started")
        await api.record(reports.epoch(1), reports.log("one", "two"))
        _, metrics, _ = await stream.until("metrics")
        _, log, _ = await stream.until("log")
        await api.record(reports.succeeded())
        rest = await stream.rest()
    assert stream.retry_ms == 2000
    assert (metrics["job_id"], metrics["kind"]) == (job.id, "metrics")
    assert metrics["data"]["values"] == {"train_loss": 1.0, "val_loss": 1.5}
    assert log["data"]["lines"] == ["one", "two"]
    assert kinds(rest) == ["succeeded"]
    statuses = [data["status"] for kind, data, _ in rest if kind == "training_status"]
    assert statuses[-1] == "completed"
    assert rest[-1] == ("end", {"job_id": job.id, "status": "completed"}, None)


@pytest.mark.parametrize("by", ["header", "query"])
async def test_it_goes_on_after_the_last_event_id(api: ApiPlatform, by: str) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(*(reports.epoch(number) for number in range(1, 30)), reports.succeeded())
    async with serving(api.app()) as address:
        async with opened(address, f"{JOBS}/{job.id}/events") as stream:
            everything = await stream.rest()
        ids = [id for _, _, id in everything if id is not None]
        options: dict[str, Any] = (
            {"headers": {"Last-Event-ID": str(ids[9])}} if by == "header" else {"params": {"after": ids[9]}}
        )
        async with opened(address, f"{JOBS}/{job.id}/events", **options) as stream:
            rest = await stream.rest()
        async with opened(address, f"{JOBS}/{job.id}/events", headers={"Last-Event-ID": str(ids[-1])}) as stream:
            assert stream.response.status_code == 204  # a browser does not come back after that
    assert ids == sorted(set(ids))
    assert [id for _, _, id in rest if id is not None] == ids[10:]


async def test_only_the_kinds_that_are_asked_for(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(reports.started(), reports.epoch(1), reports.log("x"), reports.succeeded())
    async with serving(api.app()) as address:
        params = {"kinds": ["started", "succeeded"]}
        async with opened(address, f"{JOBS}/{job.id}/events", params=params) as stream:
            assert kinds(await stream.rest()) == ["started", "succeeded"]
        async with opened(address, f"{JOBS}/{job.id}/events", params={"kinds": "nonsense"}) as stream:
            assert stream.response.status_code == 422


async def test_all_jobs_from_now_on_and_from_a_cursor(api: ApiPlatform) -> None:
    old = await api.create("old")
    async with (
        serving(api.app()) as address,
        opened(address, ALL) as now,
        opened(address, ALL, params={"after": 0}) as past,
    ):
        assert (await past.until("created"))[1]["job_id"] == old.id
        new = await api.create("new")
        await api.record(Reports(new.id).started(), Reports(old.id).started())
        for stream in (now, past):
            assert (await stream.until("created"))[1]["job_id"] == new.id
            begun = [await stream.until("started"), await stream.until("started")]
            assert [data["job_id"] for _, data, _ in begun] == [new.id, old.id]
        shown = {(await now.until("training_status"))[1]["job_id"] for _ in range(2)}
        assert shown == {new.id, old.id}


async def test_a_cursor_of_another_database_is_reset(api: ApiPlatform) -> None:
    job = await api.create()
    async with serving(api.app()) as address:
        async with opened(address, ALL, headers={"Last-Event-ID": "777"}) as stream:
            assert (await stream.next())[:2] == ("reset", {"last_event_id": 1})
        async with opened(address, f"{JOBS}/{job.id}/events", headers={"Last-Event-ID": "777"}) as stream:
            assert (await stream.next())[0] == "reset"
            assert (await stream.until("created"))[2] == 1


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "99999999999999999999", "\N{FULLWIDTH DIGIT ONE}"])
async def test_a_cursor_that_is_no_number_is_refused(api: ApiPlatform, value: str) -> None:
    job = await api.create()
    headers = {"Last-Event-ID": value.encode()}
    async with serving(api.app()) as address, opened(address, f"{JOBS}/{job.id}/events", headers=headers) as stream:
        assert stream.response.status_code == 422


async def test_silence_is_broken_by_comments(api: ApiPlatform) -> None:
    job = await api.create()
    app = api.app(heartbeat_s=0.02)
    async with serving(app) as address, opened(address, f"{JOBS}/{job.id}/events") as stream:
        await stream.until("training_status")
        reading = asyncio.create_task(stream.until("end"))
        await eventually(lambda: stream.comments > 3)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_client_that_leaves_is_forgotten_though_nothing_happens(api: ApiPlatform) -> None:
    job = await api.create()
    app = api.app()
    async with serving(app) as address:
        async with (
            opened(address, f"{JOBS}/{job.id}/events") as stream,
            opened(address, ALL),
            opened(address, f"{JOBS}/{job.id}/logs", params={"follow": "true"}),
        ):
            await stream.until("created")
            await eventually(lambda: app.state.context.hub.client_count == 3)
        await eventually(lambda: app.state.context.hub.client_count == 0, within_s=3)


async def test_streams_end_when_the_server_restarts(api: ApiPlatform) -> None:
    job = await api.create()
    app = api.app()
    async with serving(app) as address, opened(address, f"{JOBS}/{job.id}/events") as stream:
        await stream.until("created")
        app.state.context.hub.close()
        assert "end" not in [kind for kind, _, _ in await stream.rest()]  # so the client comes back
        async with opened(address, ALL) as late:
            assert (late.response.status_code, late.response.headers["retry-after"]) == (503, "2")


async def test_too_many_streams_are_a_503(api: ApiPlatform) -> None:
    async with serving(api.app(max_streams=1)) as address, opened(address, ALL), opened(address, ALL) as second:
        assert second.response.status_code == 503
        assert json.loads(await second.response.aread())["code"] == "too_many_streams"


async def test_logs_as_text(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(*(reports.log(f"line {number}", f"and {number}") for number in range(1200)))
    async with serving(api.app()) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
        text = await client.get(f"{JOBS}/{job.id}/logs")
        tail = await client.get(f"{JOBS}/{job.id}/logs", params={"tail": 3})
        none = await client.get(f"{JOBS}/{job.id}/logs", params={"tail": 0})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text == "".join(f"line {number}\nand {number}\n" for number in range(1200))
    assert tail.text == "and 1198\nline 1199\nand 1199\n"
    assert none.text == ""


@pytest.mark.parametrize("tail", [None, 2])
async def test_following_a_log_as_text_until_the_job_ends(api: ApiPlatform, tail: int | None) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(*(reports.log(f"old {number}") for number in range(5)))
    params: dict[str, Any] = {"follow": "true"} | ({} if tail is None else {"tail": tail})
    app = api.app()
    async with serving(app) as address, opened(address, f"{JOBS}/{job.id}/logs", params=params) as stream:
        lines = stream.response.aiter_lines()
        first = [await anext(lines) for _ in range(tail or 5)]
        for number in range(50):
            await api.record(reports.log(f"new {number}"), reports.step(1, number, train_loss=1.0))
        await api.record(reports.log("the end"), reports.succeeded())
        rest = [line async for line in lines]
    assert first == [f"old {number}" for number in range(5 - (tail or 5), 5)]
    assert rest == [*(f"new {number}" for number in range(50)), "the end"]


async def test_following_a_log_as_events(api: ApiPlatform) -> None:
    job = await api.create()
    reports = Reports(job.id)
    await api.record(reports.log("one"), reports.epoch(1))
    options = {"params": {"follow": "true"}, "headers": {"Accept": "text/event-stream"}}
    async with serving(api.app()) as address:
        async with opened(address, f"{JOBS}/{job.id}/logs", **options) as stream:
            _, first, id = await stream.until("log")
            await api.record(reports.log("two", rank=-1))
            _, second, _ = await stream.until("log")
            await api.record(reports.succeeded())
            assert (await stream.rest())[-1][0] == "end"
        again = {"Last-Event-ID": str(id), "Accept": "text/event-stream"}
        async with opened(address, f"{JOBS}/{job.id}/logs", headers=again) as stream:
            rest = await stream.rest()
    assert (first["lines"], first["rank"]) == (["one"], 0)
    assert (second["lines"], second["rank"]) == (["two"], -1)
    assert [data["lines"] for kind, data, _ in rest if kind == "log"] == [["two"]]
