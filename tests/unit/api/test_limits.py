"""The size of requests beside their bodies' bytes, and bodies that never end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.api import guard
from serve_apps.api.limits import MAX_DEPTH, MAX_HEADER_BYTES, MAX_HEADERS, is_too_deep
from tests.fixtures.api import JOBS, ApiPlatform, serving

NESTED = st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def deep(levels: int, inner: Any = '[{\\"') -> Any:
    for number in range(levels):
        inner = [inner, "]"] if number % 2 else {'"[[': inner}
    return inner


def depth(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
        case _:
            return 0


@given(NESTED, st.integers(0, 2 * MAX_DEPTH))
def test_depth_is_counted_as_it_is_read(value: Any, more: int) -> None:
    value = deep(more, value)
    assert is_too_deep(json.dumps(value).encode()) is (depth(value) > MAX_DEPTH)


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"a":' * 150_000, b'["\\' * 300_000, b'"' + b"[" * 1000])
def test_a_body_of_brackets_takes_no_time(body: bytes) -> None:
    assert is_too_deep(body) is (not body.startswith(b'"'))


@pytest.mark.parametrize("levels", [MAX_DEPTH, 200, 900, 100_000])
@pytest.mark.parametrize("where", ["body", "tags", "config"])
async def test_deep_json_is_refused(api: ApiPlatform, levels: int, where: str) -> None:
    nested = "[" * levels + "]" * levels
    body = {"body": nested, "tags": f'{{"job_name": "x", "tags": {nested}}}', "config": f'{{"config": {nested}}}'}
    async with api.client() as client:
        answer = await client.post(JOBS, content=body[where], headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"X-Long": "a" * MAX_HEADER_BYTES}, "", 431),
        ({f"X-{number}": "a" for number in range(MAX_HEADERS)}, "", 431),
        ({}, f"?status={'a' * 20_000}", 414),
        ({"X-Long": "a" * 8000}, "", 200),
    ],
)
async def test_the_head_of_a_request(api: ApiPlatform, headers: dict[str, str], query: str, status: int) -> None:
    async with api.client() as client:
        answer = await client.get(f"{JOBS}{query}", headers=headers)
    assert answer.status_code == status, answer.text


async def test_a_body_that_drips_is_given_up(api: ApiPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow clients hold a connection, and nothing else, until their time is over."""
    monkeypatch.setattr(guard, "BODY_S", 0.2)
    async with serving(api.app()) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST {JOBS} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        writer.write(head.encode() + b"{")
        async with asyncio.timeout(10):
            status = await reader.readline()
        writer.close()
        assert b" 408 " in status
        assert api.reader.latest_event_id() == 0


async def test_a_dataset_that_stops_coming_is_given_up(api: ApiPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    from serve_apps.api.routes import datasets

    monkeypatch.setattr(datasets, "IDLE_S", 0.2)
    async with serving(api.app()) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/v1/datasets HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/zip\r\n"
        writer.write(head.encode() + b"Content-Length: 100\r\n\r\nPK")
        async with asyncio.timeout(10):
            status = await reader.readline()
        writer.close()
        assert b" 422 " in status
