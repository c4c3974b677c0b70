"""Bad inputs by kind: `python -m tests.benchmarks.hostile_inputs [--only addresses] [--files 40] [--rebinds 300]`.

For each kind: how many were tried and refused, connections to forbidden addresses (counted by the listening sockets
there and by every connect that was tried), files outside of the folder, answers of 500, hangs (over HANG_S), the
slowest, and by how much the greatest size of the process grew.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from hypothesis import HealthCheck, given, settings
from rich.console import Console
from rich.table import Table

from serve_apps.api.rules import RULES
from tests.contracts.hostile.bombs import BOMBS
from tests.contracts.hostile.bytes_made import broken
from tests.contracts.hostile.readers import READERS, sample
from tests.contracts.hostile.test_bombs import grown_mb, start_measuring
from tests.fixtures.api import api_on
from tests.fixtures.web import Answer, WebRequest, web_server
from tests.unit.net.test_hostile_addresses import OWN, REFUSED, ZONE
from thornback.errors import AddressRefused, FetchFailed
from thornback.net.client import GuardedClient, GuardedTransport
from thornback.net.rules import AddressRules, Allowed
from thornback.store.migrate import upgrade

HANG_S = 30.0
PUBLIC = "127.0.0.1"  # for the redirects and the name server this stands for the internet
INSIDE = "127.0.0.2"
PLACES = ("127.0.0.2", "127.0.0.3", "::1")


@dataclass(kw_only=True)
class Figures:
    """One line of the table."""

    kind: str
    tried: int = 0
    refused: int = 0
    connections: int = 0
    outside: int = 0
    errors: int = 0  # answers of 500, and what is raised that is no refusal
    hangs: int = 0
    slowest_s: float = 0.0
    grown_mb: float = 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around each input."""
        began = time.perf_counter()
        self.tried += 1
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.slowest_s = max(self.slowest_s, took)
            self.hangs += took > HANG_S


class Traps:
    """Listens where nobody may connect, on one port, and counts who does."""

    def __init__(self) -> None:
        self.touched = 0
        self._sockets: list[socket.socket] = []
        self.port = 0
        for host in PLACES:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, self.port), family=family)
            self.port = listener.getsockname()[1]
            self._sockets.append(listener)
            threading.Thread(target=self._count, args=(listener,), daemon=True).start()

    def _count(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.touched += 1
            connection.close()

    def close(self) -> None:
        for listener in self._sockets:
            listener.close()


@contextmanager
def tried_connects(allowed: set[str]) -> Iterator[list[str]]:
    """Every address but the allowed ones that a socket of this process is told to connect to."""
    seen: list[str] = []
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def note(place: Any) -> None:
        if isinstance(place, tuple) and place[0] not in allowed:
            seen.append(str(place[0]))

    class Noted(socket.socket):
        def connect(self, address: Any, /) -> None:
            note(address)
            connect(self, address)

        def connect_ex(self, address: Any, /) -> int:
            note(address)
            return connect_ex(self, address)

    with mock.patch.object(socket, "socket", Noted):
        yield seen


@contextmanager
def names(answers: Callable[[str], list[str]]) -> Iterator[None]:
    """The name server of this process: `socket.getaddrinfo` asks `answers`."""

    def look_up(host: str | bytes, port: Any, *_: Any, **__: Any) -> list[Any]:
        text = host.decode() if isinstance(host, bytes) else host
        found = answers(text)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in found
        ]

    with mock.patch.object(socket, "getaddrinfo", look_up):
        yield


async def addresses(traps: Traps) -> Figures:
    """Every form of an address, as it stands and with the port of the traps in it."""
    figures = Figures(kind="addresses")
    rules = AddressRules(ports=frozenset({80, 443, 8080, traps.port}))
    forms = [url for url in REFUSED if "good.test:" not in url]
    with_port = [url.replace("/", f":{traps.port}/", 3).replace(f":{traps.port}/", "/", 2) for url in forms]
    with names(lambda host: ZONE.get(host, [])), tried_connects(set()) as seen:
        async with GuardedClient(transport=GuardedTransport(rules, own=lambda: OWN)) as client:
            for url in [*forms, *with_port]:
                with figures.one():
                    try:
                        await client.get(url, follow_redirects=True)
                    except (AddressRefused, httpx.InvalidURL):
                        figures.refused += 1
                    except httpx.ConnectError:
                        figures.refused += 1  # a name that nobody knows
    figures.connections = traps.touched + len(seen)
    return figures


@asynccontextmanager
async def outside_and_inside() -> AsyncIterator[tuple[Any, Traps]]:
    async with web_server() as web:
        port = httpx.URL(web.url).port
        trap = Traps.__new__(Traps)
        trap.touched, trap.port, trap._sockets = 0, port or 0, []
        listener = socket.create_server((INSIDE, port or 0))
        trap._sockets.append(listener)
        threading.Thread(target=trap._count, args=(listener,), daemon=True).start()
        try:
            yield web, trap
        finally:
            trap.close()


async def redirects() -> Figures:
    """Chains of up to ten hops that end inside, with every status, spelled in many ways."""
    figures = Figures(kind="redirect chains")
    rules = AddressRules(allow=(Allowed.parse(PUBLIC),))
    async with outside_and_inside() as (web, trap), GuardedClient(rules) as client:
        ends = [f"http://{INSIDE}:{trap.port}/", f"//{INSIDE}:{trap.port}/", f"http://[::ffff:{INSIDE}]:{trap.port}/"]
        ends += [f"http://0x7f000002:{trap.port}/", f"http://2130706434:{trap.port}/", "file:///etc/passwd"]
        for status, hops, end in itertools.product((301, 302, 303, 307, 308), range(10), ends):

            def script(request: WebRequest, status: int = status, hops: int = hops, end: str = end) -> Answer:
                done = int(request.path.strip("/") or 0)
                return Answer(status=status, headers={"Location": end if done == hops else f"/{done + 1}"})

            web.script = script
            with figures.one():
                try:
                    await client.get(f"{web.url}/", follow_redirects=True)
                except (AddressRefused, FetchFailed, httpx.InvalidURL, httpx.UnsupportedProtocol):
                    figures.refused += 1
        figures.connections = trap.touched
    return figures


async def rebinding(count: int) -> Figures:
    """A name server whose answer changes with each question."""
    figures = Figures(kind="name server that changes")
    rules = AddressRules(allow=(Allowed.parse(PUBLIC),))
    choices = ([PUBLIC], [INSIDE], [PUBLIC, INSIDE], [INSIDE, PUBLIC], [f"::ffff:{INSIDE}"], ["169.254.169.254"])
    rng = random.Random(1)
    async with outside_and_inside() as (web, trap):
        web.answers(Answer(body=b"it"))
        with names(lambda _: rng.choice(choices)), tried_connects({PUBLIC}) as seen:
            for _ in range(count):
                async with GuardedClient(rules) as client:
                    with figures.one():
                        try:
                            await client.get(f"http://rebind.test:{trap.port}/")
                        except AddressRefused:
                            figures.refused += 1
        figures.connections = trap.touched + len(seen)
    return figures


def files(kind: str) -> Figures:
    """The table of files that mean harm."""
    figures = Figures(kind=kind)
    for bomb in (bomb for bomb in BOMBS.values() if bomb.kind == kind):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "in" / f"file{bomb.suffix}"
            path.parent.mkdir()
            bomb.write(path)
            before = start_measuring()
            with figures.one():
                try:
                    bomb.read(path)
                except bomb.raises:
                    figures.refused += 1
                except Exception:  # noqa: BLE001 - it is counted
                    figures.errors += 1
            figures.grown_mb = max(figures.grown_mb, grown_mb(before))
            figures.outside += len(list(Path(folder).rglob("*"))) - 2
    return figures


def fuzzed(count: int) -> Figures:
    """Broken files for every reader."""
    figures = Figures(kind=f"fuzzed files, {len(READERS)} readers")
    before = start_measuring()
    for name, reader in READERS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "in" / f"file{reader.suffix}"
            path.parent.mkdir()
            _fuzz(figures, name, path, count)
            figures.outside += len([found for found in Path(folder).iterdir() if found.name != "in"])
    figures.grown_mb = grown_mb(before)
    return figures


def _fuzz(figures: Figures, name: str, path: Path, count: int) -> None:
    reader = READERS[name]

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(broken(sample(name)))
    def run(content: bytes) -> None:
        path.write_bytes(content)
        with figures.one():
            try:
                reader.read(path)
            except reader.raises:
                figures.refused += 1
            except Exception:  # noqa: BLE001 - it is counted
                figures.errors += 1

    run()


BODIES = (
    b"",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"null",
    b'"text"',
    b"[]",
    b"1e999",
    b"9" * 100_000,
    b"\xff\xfe\x00",
    b'{"job_name": "\\u0000"}',
    b'{"job_name": "\\ud800"}',
    b'{"job_name": "x", "config": {"epochs": 1e308}}',
    b'{"job_name": "x", "config": {"epochs": NaN}}',
    b'{"job_name": ["x"], "config": "x", "tags": 3, "kind": {}}',
    b'{"job_name": "' + b"x" * 900_000 + b'"}',
    b'{"job_name": "<img src=x onerror=alert(1)>", "tags": {"a": "\\u202e"}}',
)
PARTS = (
    "..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%00",
    "a" * 3000,
    "'; drop table training_jobs; --",
    "-1",
    "☃",
    "%ff",
    "1e9",
)


async def requests() -> Figures:
    """Bodies, paths, queries and headers that no client sends, at every route."""
    figures = Figures(kind=f"requests at {len(RULES)} routes")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/thornback.db"
        upgrade(url)
        async with api_on(url, Path(folder)) as platform, platform.client() as client:
            before = start_measuring()
            for method, path in RULES:
                if method == "WS" or "events" in path or path.endswith("/logs"):
                    continue
                for number, part in enumerate(PARTS):
                    filled = path.replace("{", "\0{")
                    place = "/".join(part if piece.startswith("\0{") else piece for piece in filled.split("/"))
                    body = BODIES[number % len(BODIES)] if method in ("POST", "PUT", "PATCH") else None
                    await _send(client, figures, method, f"{place}?limit={part}&cursor={part}", body)
                if method in ("POST", "PUT", "PATCH"):
                    for body in BODIES:
                        await _send(client, figures, method, path.replace("{", "").replace("}", ""), body)
            figures.grown_mb = grown_mb(before)
    return figures


async def _send(client: Any, figures: Figures, method: str, path: str, body: bytes | None) -> None:
    headers = {"Content-Type": "application/json", "Range": "bytes=9-1", "Last-Event-ID": "-1", "If-None-Match": '"'}
    with figures.one():
        answer = await client.request(method, path, content=body, headers=headers)
        figures.refused += 400 <= answer.status_code < 500
        if answer.status_code == 500:
            figures.errors += 1
            print(f"500: {method} {path[:100]} {(body or b'')[:60]!r}")


async def _addresses() -> Figures:
    traps = Traps()
    try:
        return await addresses(traps)
    finally:
        traps.close()


def kinds(files_each: int, rebinds: int) -> dict[str, Callable[[], Figures]]:
    """Every line of the table by its name."""
    tables = dict.fromkeys(bomb.kind for bomb in BOMBS.values())
    return {
        "addresses": lambda: asyncio.run(_addresses()),
        "redirects": lambda: asyncio.run(redirects()),
        "rebinding": lambda: asyncio.run(rebinding(rebinds)),
        "requests": lambda: asyncio.run(requests()),
        **{kind: partial(files, kind) for kind in tables},
        "fuzzed": lambda: fuzzed(files_each),
    }


def main() -> None:
    """Print the table, and each line to stderr as it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=40, help="broken files for each reader")
    parser.add_argument("--rebinds", type=int, default=300)
    parser.add_argument("--only", action="append", help="a kind; several times for several")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = []
    for name, work in kinds(asked.files, asked.rebinds).items():
        if not asked.only or name in asked.only:
            lines.append(work())
            print(lines[-1], file=sys.stderr, flush=True)
    shown = Table("kind", "tried", "refused", "connections", "outside", "500s", "hangs", "slowest s", "grown MB")
    for line in lines:
        counts = (line.tried, line.refused, line.connections, line.outside, line.errors, line.hangs)
        shown.add_row(line.kind, *map(str, counts), f"{line.slowest_s:.2f}", f"{line.grown_mb:.0f}")
    Console(width=140).print(shown)
    if any(line.connections or line.outside or line.errors or line.hangs for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
