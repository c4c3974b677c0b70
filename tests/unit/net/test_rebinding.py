"""Names whose addresses change, and redirects that lead inside: real sockets, and a trap that nobody may touch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from itertools import cycle
from pathlib import Path

import httpx
import pytest
from tenacity import wait_none

from tests.fixtures.web import Answer, Web, WebRequest, web_server
from thornback.artifacts.fetch import fetch
from thornback.errors import AddressRefused, FetchFailed, Unavailable
from thornback.net.client import GuardedClient, GuardedTransport
from thornback.net.ranges import IPAddress
from thornback.net.rules import AddressRules, Allowed

OUTSIDE, INSIDE = "127.0.0.1", "127.0.0.2"  # for these tests the first is the internet
RULES = AddressRules(allow=(Allowed.parse(OUTSIDE),))


class NameServer:
    """Gives the next of its answers with each question."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = cycle(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[IPAddress]:
        self.asked.append(host)
        return [ip_address(text) for text in next(self._answers)]


class Trap:
    """What must not be connected to: the same port on another address."""

    def __init__(self) -> None:
        self.touched = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.touched += 1
        writer.close()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with web_server() as server:
        yield server


@pytest.fixture
async def trap(web: Web) -> AsyncIterator[Trap]:
    trap = Trap()
    server = await asyncio.start_server(trap.serve, INSIDE, httpx.URL(web.url).port)
    yield trap
    assert trap.touched == 0
    server.close()
    await server.wait_closed()


def _client(names: NameServer) -> GuardedClient:
    return GuardedClient(transport=GuardedTransport(RULES, resolve=names, own=set))


def _is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def _at(web: Web, host: str, path: str = "/") -> str:
    return f"http://{host}:{httpx.URL(web.url).port}{path}"


async def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(web: Web, trap: Trap) -> None:
    web.answers(Answer(body=b"it"))
    names = NameServer([OUTSIDE], [INSIDE])
    async with _client(names) as client:
        assert (await client.get(_at(web, "rebind.test"))).content == b"it"
    assert names.asked == ["rebind.test"]
    assert web.requests[0].headers["host"] == f"rebind.test:{httpx.URL(web.url).port}"


async def test_the_next_connection_is_checked_anew(web: Web, trap: Trap) -> None:
    web.answers(Answer(body=b"it"))  # and closes the connection
    names = NameServer([OUTSIDE], [INSIDE])
    async with _client(names) as client:
        await client.get(_at(web, "rebind.test"))
        with pytest.raises(AddressRefused, match="loopback"):
            await client.get(_at(web, "rebind.test"))


async def test_a_name_server_that_changes_its_answer_all_the_time(web: Web, trap: Trap) -> None:
    web.answers(Answer(body=b"it"))
    answers = ([OUTSIDE], [INSIDE], [OUTSIDE, INSIDE], [INSIDE, OUTSIDE], ["::ffff:127.0.0.2"], ["::ffff:127.0.0.1"])
    names = NameServer(*answers)
    came = []
    async with _client(names) as client:
        for _ in range(10 * len(answers)):
            try:
                await client.get(_at(web, "rebind.test"))
            except AddressRefused:
                came.append(False)
            else:
                came.append(True)
    assert came == [True, False, False, False, False, True] * 10
    assert len(web.requests) == 20


async def test_a_transfer_that_goes_on_elsewhere_is_refused(web: Web, trap: Trap, tmp_path: Path) -> None:
    """Cut off in the middle, so that the rest is asked for at an address of its server's choice."""
    web.answers(Answer(headers={"ETag": '"v1"'}, body=bytes(100), claims=1000))
    async with _client(NameServer([OUTSIDE], [INSIDE])) as client:
        with pytest.raises(AddressRefused):
            await fetch(_at(web, "rebind.test"), str(tmp_path / "one"), client=client, wait=wait_none())
    assert _is_empty(tmp_path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [0, 1, 2, 3, 4])
async def test_chains_that_end_inside(web: Web, trap: Trap, tmp_path: Path, status: int, hops: int) -> None:
    def script(request: WebRequest) -> Answer:
        done = int(request.path.strip("/") or 0)
        to = _at(web, INSIDE) if done == hops else f"/{done + 1}"
        return Answer(status=status, headers={"Location": to})

    web.script = script
    async with _client(NameServer([OUTSIDE])) as client:
        with pytest.raises(AddressRefused):
            await fetch(_at(web, "good.test"), str(tmp_path / "one"), client=client)
        with pytest.raises(AddressRefused):  # httpx's own way of following
            await client.get(_at(web, "good.test"), follow_redirects=True)
    assert len(web.requests) == 2 * (hops + 1)


@pytest.mark.parametrize(
    "location",
    [
        "//{inside}/",
        "http://{inside}/",
        "https://{inside}/",
        "HTTP://{inside}/",
        "http://good.test@{inside}/",
        "http://2130706434:{port}/",
        "http://0x7f000002:{port}/",
        "http://0177.0.0.2:{port}/",
        "http://127.2:{port}/",
        "http://[::ffff:127.0.0.2]:{port}/",
        "http://[::1]:{port}/",
        "http://good.test\\@{inside}/",
        "\\\\{inside}/",
        "/\\{inside}/",
        "http:/{inside}/",
        "file:///etc/passwd",
        "gopher://{inside}/_x",
        "data:text/plain,hello",
        "",
    ],
)
async def test_places_that_redirects_name(web: Web, trap: Trap, tmp_path: Path, location: str) -> None:
    port = httpx.URL(web.url).port
    web.answers(Answer(status=302, headers={"Location": location.format(inside=f"{INSIDE}:{port}", port=port)}))
    async with _client(NameServer([OUTSIDE])) as client:
        with pytest.raises((FetchFailed, Unavailable)):  # the second where httpx itself cannot read it
            await fetch(_at(web, "good.test"), str(tmp_path / "one"), client=client, wait=wait_none())
    assert _is_empty(tmp_path)


async def test_a_second_address_is_tried_where_the_first_is_silent(web: Web) -> None:
    web.answers(Answer(body=b"it"))
    rules = AddressRules(allow=(Allowed.parse("127.0.0.0/8"),))
    names = NameServer(["127.0.0.3", OUTSIDE])  # nobody listens on the first
    async with GuardedClient(transport=GuardedTransport(rules, resolve=names, own=set)) as client:
        assert (await client.get(_at(web, "two.test"))).content == b"it"


async def test_cookies_of_one_are_not_kept_for_the_next(web: Web) -> None:
    web.answers(Answer(headers={"Set-Cookie": "session=1; Path=/"}))
    async with _client(NameServer([OUTSIDE])) as client:
        for _ in range(2):
            await client.get(_at(web, "good.test"))
    assert "cookie" not in web.requests[1].headers
