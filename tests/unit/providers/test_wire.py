"""The official clients on our transport, against a server of bare bytes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.unit.providers.make import order
from tests.unit.providers.raw_server import DROP, HALF, answer, raw_server
from thornback.errors import AnswerLost, ProviderRefused, ProviderUnavailable
from thornback.providers.fal import FalProvider
from thornback.providers.faults import NoAnswer, Refusal
from thornback.providers.replicate import ReplicateProvider
from thornback.providers.wire import Wire, host_of

Make = Callable[..., Any]
TAKEN_BY: dict[str, dict[str, Any]] = {
    "replicate": {"id": "r1", "status": "starting", "input": {}},
    "fal": {"request_id": "f1"},
}


@pytest.fixture
def make(connect: Make) -> Make:
    """By name."""
    return lambda name, url: connect(ReplicateProvider if name == "replicate" else FalProvider, url)


PREDICTION = {"endpoint": "acme/model", "call": "prediction", "inputs": {"prompt": "p"}, "destination": None}


@pytest.mark.parametrize("name", ["replicate", "fal"])
@pytest.mark.parametrize(
    "bytes_back",
    [DROP, HALF, b"rubbish\r\n\r\n", answer("<html>"), answer("{}", 502), answer("nginx", 503), answer("", 504)],
    ids=["dropped", "half", "no-http", "no-json", "502", "503-nginx", "504"],
)
async def test_one_order_is_one_request_and_its_answer_may_be_lost(make: Make, name: str, bytes_back: bytes) -> None:
    async with raw_server(bytes_back) as server:
        provider = make(name, server.url)
        with pytest.raises(AnswerLost):
            await provider.submit(order(**PREDICTION))
    assert [request.split()[0] for request in server.requests] == ["POST"]


@pytest.mark.parametrize("name", ["replicate", "fal"])
@pytest.mark.parametrize(
    ("status", "error"), [(422, ProviderRefused), (409, ProviderRefused), (429, ProviderUnavailable)]
)
async def test_an_order_that_is_refused_was_not_taken(
    make: Make, name: str, status: int, error: type[Exception]
) -> None:
    async with raw_server(answer({"detail": "no"}, status)) as server:
        provider = make(name, server.url)
        with pytest.raises(error, match="no"):
            await provider.submit(order(**PREDICTION))
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["replicate", "fal"])
async def test_where_nobody_listens_nothing_was_taken(make: Make, name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        provider = make(name, f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await provider.submit(order(**PREDICTION))


@pytest.mark.parametrize("name", ["replicate", "fal"])
async def test_an_answer_with_more_or_less_than_the_client_wants_is_enough(make: Make, name: str) -> None:
    """The clients' own parsers would lose the id of something paid for."""
    async with raw_server(answer(TAKEN_BY[name] | {"new": [1]}, 201)) as server:
        provider = make(name, server.url)
        assert (await provider.submit(order(**PREDICTION))).provider_id in ("r1", "f1")


async def test_our_time_outs_are_on_every_request() -> None:
    """Replicate's client asks for none when it creates a prediction."""
    seen: list[httpx.Request] = []

    async def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async with httpx.AsyncClient(transport=Wire(httpx.MockTransport(serve)), timeout=None) as client:
        await client.get("http://x")
    assert all(seen[0].extensions["timeout"][name] for name in ("connect", "read", "write", "pool"))


@pytest.mark.parametrize(
    ("error", "sent"),
    [(httpx.ConnectError("x"), False), (httpx.PoolTimeout("x"), False), (httpx.ReadTimeout("x"), True)],
)
async def test_what_may_have_arrived(error: Exception, sent: bool) -> None:
    async def serve(request: httpx.Request) -> httpx.Response:
        raise error

    async with httpx.AsyncClient(transport=Wire(httpx.MockTransport(serve))) as client:
        with pytest.raises(NoAnswer) as caught:
            await client.post("http://x")
    assert caught.value.sent is sent


async def test_every_host_is_led_to_the_base() -> None:
    seen: list[httpx.Request] = []

    async def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(307)

    transport = Wire(httpx.MockTransport(serve), base="http://127.0.0.1:9/fal/")
    async with httpx.AsyncClient(transport=transport) as client:
        for url in ("https://queue.fal.run/a/b?c=d%2F", "http://127.0.0.1:9/fal/own"):
            with pytest.raises(Refusal):  # and redirects are not followed with our key
                await client.get(url)
    assert [str(request.url) for request in seen] == ["http://127.0.0.1:9/fal/a/b?c=d%2F", "http://127.0.0.1:9/fal/own"]
    assert seen[0].headers["host"] == "127.0.0.1:9"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.replicate.com/x", "api.replicate.com"),
        ("http://h:8099/x", "h:8099"),
        ("https://h:443", "h"),
        ("ftp://h/x", None),
        ("https://api.replicate.com@evil.example/x", None),
        ("https://[::1", None),
        ("https://h:99999/", None),
    ],
)
def test_hosts(url: str, host: str | None) -> None:
    assert host_of(url) == host


async def test_the_key_goes_to_its_own_provider_alone(make: Make) -> None:
    replicate, fal = make("replicate", "http://127.0.0.1:9"), make("fal", "http://127.0.0.1:9")
    for url in ("http://127.0.0.1:9/f", "https://replicate.delivery/a.tar", "https://x.replicate.delivery/a"):
        assert replicate.download_headers(url) == {"Authorization": "Bearer r8_x"}
    assert fal.download_headers("http://127.0.0.1:9/f") == {"Authorization": "Key id:secret"}
    for url in (
        "https://evil.example/a",
        "https://replicate.delivery.evil.example/a",
        "https://evilreplicate.com/a",
        "http://replicate.delivery/a",  # in the clear
        "https://replicate.com@evil.example/a",
        "http://127.0.0.1:10/a",
    ):
        assert replicate.download_headers(url) == {}
        assert fal.download_headers(url) == {}
