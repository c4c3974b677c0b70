"""What is refused before any route sees it, and what every answer carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from serve_apps.api.guard import MAX_BODY_BYTES, SECURITY_HEADERS, Guard
from tests.fixtures.api import JOBS, ApiPlatform

BODY = {"job_name": "from elsewhere"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://localhost:8001.evil.example"},
        {"origin": "null"},
        {"origin": "file://"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_sites_page_cannot_change_anything(api: ApiPlatform, headers: dict[str, str]) -> None:
    job = await api.create()
    events = api.reader.latest_event_id()
    async with api.client() as client:
        answers = [
            await client.post(JOBS, json=BODY, headers=headers),
            await client.post(f"{JOBS}/{job.id}/cancel", headers=headers),
            await client.post(f"{JOBS}/{job.id}/retry", headers=headers),
            await client.delete(f"{JOBS}/{job.id}", headers=headers),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "cross_origin")] * 4
    assert api.reader.latest_event_id() == events


@pytest.mark.parametrize(
    ("headers", "settings"),
    [
        ({}, {}),
        ({"origin": "http://127.0.0.1:8001", "sec-fetch-site": "same-origin"}, {}),
        ({"sec-fetch-site": "none"}, {}),
        ({"origin": "https://ml.example.org", "x-forwarded-host": "ml.example.org"}, {}),
        ({"origin": "https://ml.example.org"}, {"public_url": "https://ml.example.org"}),
        ({"origin": "https://ml.example.org"}, {"public_url": "https://ml.example.org:443/x"}),
        ({"origin": "https://ml.example.org", "host": "ml.example.org:443"}, {"host": "0.0.0.0"}),
    ],
)
async def test_programs_and_our_own_page_may(
    api: ApiPlatform, headers: dict[str, str], settings: dict[str, Any]
) -> None:
    async with api.client(**settings) as client:
        answer = await client.post(JOBS, json=BODY, headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("host", "listens", "status"),
    [
        ("127.0.0.1:8001", "127.0.0.1", 200),
        ("localhost:8001", "127.0.0.1", 200),
        ("api.localhost", "127.0.0.1", 200),
        ("[::1]:8001", "127.0.0.1", 200),
        ("127.1.2.3", "localhost", 200),
        ("evil.example", "127.0.0.1", 421),
        ("evil.example:8001", "::1", 421),
        ("localhost.evil.example", "127.0.0.1", 421),
        ("127.0.0.1.evil.example", "127.0.0.1", 421),
        ("192.168.1.4:8001", "127.0.0.1", 421),
        ("", "127.0.0.1", 421),
        ("gpu-box.lan:8001", "0.0.0.0", 200),
    ],
)
async def test_a_name_that_was_pointed_at_loopback_is_refused(
    api: ApiPlatform, host: str, listens: str, status: int
) -> None:
    async with api.client(host=listens) as client:
        answer = await client.get(JOBS, headers={"host": host})
    assert answer.status_code == status


async def test_a_proxy_on_the_same_machine_may_pass_its_own_name(api: ApiPlatform) -> None:
    async with api.client(public_url="https://ml.example.org/x") as client:
        assert (await client.get(JOBS, headers={"host": "ml.example.org"})).status_code == 200


@pytest.mark.parametrize("path", [JOBS, "/", "/nothing/here", f"{JOBS}/not-a-uuid"])
async def test_every_answer_has_the_security_headers(api: ApiPlatform, path: str) -> None:
    async with api.client() as client:
        answer = await client.get(path)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers


async def test_no_preflight_is_granted(api: ApiPlatform) -> None:
    async with api.client() as client:
        answer = await client.options(
            JOBS, headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
        )
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("with_length", [True, False])
async def test_a_body_has_a_limit(api: ApiPlatform, with_length: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    content: Any = b" " * (MAX_BODY_BYTES + 1) if with_length else pieces()
    async with api.client() as client:
        answer = await client.post(JOBS, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/vnd.api+json", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        (None, 415),
    ],
)
async def test_bodies_are_json(api: ApiPlatform, content_type: str | None, status: int) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    async with api.client() as client:
        answer = await client.post(JOBS, content=b'{"job_name": "x"}', headers=headers)
    assert answer.status_code == status, answer.text


async def test_a_client_that_hangs_up_in_the_middle_reaches_no_route(api: ApiPlatform) -> None:
    reached = False

    async def app(*_: Any) -> None:
        nonlocal reached
        reached = True

    messages: list[Message] = [
        {"type": "http.request", "body": b'{"job_name": "x"}', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(_: Message) -> None:
        raise AssertionError("nobody listens")

    scope = {"type": "http", "method": "POST", "path": JOBS, "headers": [(b"host", b"localhost")]}
    await Guard(app, settings=api.settings)(scope, receive, send)
    assert not reached
