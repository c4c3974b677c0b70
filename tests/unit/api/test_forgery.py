"""What a page of another site gets a browser to send with the cookie of somebody who is signed in: nothing is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serve_apps.api.principal import COOKIE
from tests.fixtures.api import JOBS, Reports, serving
from tests.unit.api.test_access import Guarded, guarded

__all__ = ["guarded"]  # the fixture

OWN, OTHER, APP = "http://127.0.0.1:8001", "https://evil.example", "https://app.example"
METHODS = {
    "POST": (JOBS, {"job_name": "forged", "config": {}}),
    "PUT": ("/api/v1/teams/vision/members/bob", {}),
    "PATCH": ("/api/v1/users/ada", {"role": "admin"}),
    "DELETE": ("/api/v1/teams/vision", None),
}
# How browsers mark what a page of another site asks for.
FORGED: dict[str, dict[str, str]] = {
    "another origin": {"origin": OTHER},
    "another port": {"origin": "http://127.0.0.1:9000"},
    "another scheme's page of the same name": {"origin": "ftp://127.0.0.1:8001"},
    "a sandboxed page": {"origin": "null"},
    "no origin, another site": {"sec-fetch-site": "cross-site"},
    "no origin, a sister of ours": {"sec-fetch-site": "same-site"},
}


@asynccontextmanager
async def signed_in(guarded: Guarded, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """The browser of an admin."""
    async with guarded.client(**settings) as client:
        await client.post("/api/v1/session", json={"api_key": guarded.keys["root"]}, headers={"origin": OWN})
        assert COOKIE in client.cookies
        yield client


@pytest.mark.parametrize("method", METHODS)
async def test_a_forged_request_does_nothing(guarded: Guarded, method: str) -> None:
    path, body = METHODS[method]
    async with signed_in(guarded) as client:
        for name, headers in FORGED.items():
            answer = await client.request(method, path, json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin"), name
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            if body is not None:  # what a form can send without asking first
                answer = await client.request(method, path, content=b"{}", headers={"content-type": kind})
                assert answer.status_code == 415, kind
        assert guarded.api.reader.latest_event_id() == 0
        assert guarded.api.reader.teams_of("bob") == ("audio",)
        own = await client.request(method, path, json=body, headers={"origin": OWN, "sec-fetch-site": "same-origin"})
        assert own.is_success


@pytest.mark.parametrize("method", METHODS)
async def test_an_allowed_site_has_no_use_of_the_cookie(guarded: Guarded, method: str) -> None:
    """Its pages may ask, with a key of their own."""
    path, body = METHODS[method]
    async with signed_in(guarded, allowed_origins=[APP]) as client:
        answer = await client.request(method, path, json=body, headers={"origin": APP})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        key = {"origin": APP, "authorization": f"Bearer {guarded.keys['root']}"}
        assert (await client.request(method, path, json=body, headers=key)).is_success


async def test_signing_in_and_out_cannot_be_forged(guarded: Guarded) -> None:
    async with signed_in(guarded) as client:
        for headers in FORGED.values():
            given = await client.post("/api/v1/session", json={"api_key": guarded.keys["ada"]}, headers=headers)
            ended = await client.delete("/api/v1/session", headers=headers)
            begun = await client.post("/api/v1/session/openid", json={}, headers=headers)
            assert [answer.status_code for answer in (given, ended, begun)] == [403, 403, 403]
        assert (await client.get("/api/v1/session")).json()["user"] == "root"


async def test_a_socket_is_for_our_own_pages(guarded: Guarded) -> None:
    job = await guarded.api.create(user="root")
    await guarded.api.record(Reports(job.id).succeeded())
    async with signed_in(guarded) as client:
        cookie = f"{COOKIE}={client.cookies[COOKIE]}"
    async with serving(guarded.api.app(access="on", allowed_origins=[APP])) as place:
        url = f"ws://{place}/ws/training/{job.id}"
        for origin in (OTHER, APP, "null"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, additional_headers={"Cookie": cookie, "Origin": origin}).__aenter__()
            assert refused.value.response.status_code == 403
        async with connect(url, additional_headers={"Cookie": cookie, "Origin": f"http://{place}"}) as socket:
            assert '"connected"' in str(await socket.recv())
