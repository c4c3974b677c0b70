"""The server of an upload is killed in the middle of a part, and another takes its place."""

from __future__ import annotations

import hashlib
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.datasets.pictures_made import picture
from tests.unit.datasets.test_image_zip import zipped
from thornback.client import Backoff, Client, resumable

SERVER = """
import asyncio, sys
from pathlib import Path
from tests.fixtures.api import api_on, serving

async def main(database, home, port):
    async with api_on(database, Path(home)) as platform, serving(platform.app(), port=int(port)) as address:
        print(address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


class Server:
    """The API in a process that can be killed."""

    def __init__(self, database: str, home: Path) -> None:
        self._arguments = (database, str(home))
        self._process: subprocess.Popen[str] | None = None
        self.address = "127.0.0.1:0"

    def start(self) -> None:
        port = self.address.rpartition(":")[2]
        command = [sys.executable, "-c", SERVER, *self._arguments, port]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path) -> Iterator[Server]:
    server = Server(sqlite_url, tmp_path)
    server.start()
    yield server
    server.kill()


def test_nothing_that_counted_is_sent_twice(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "PART_BYTES", 4 << 20)
    noise = random.Random(1)
    members = {f"{number}.bmp": picture("BMP", (1200, 1000)) for number in range(4)}
    members["noise.bin"] = noise.randbytes(3 << 20)
    file = zipped(tmp_path / "large.zip", members, compression=0)
    killed: list[int] = []
    seen: list[int] = []
    real: Any = resumable.Sending._send

    def dying(self: Any, upload: Any, opened: Any) -> None:
        if upload.offset == 8 << 20 and not killed:
            killed.append(upload.offset)
            _send_half_and_kill(server, upload.id, upload.offset, file)
        real(self, upload, opened)

    monkeypatch.setattr(resumable.Sending, "_send", dying)

    def lost(_error: Any, _delay: float) -> None:
        if len(killed) == 1:
            killed.append(0)
            server.start()

    with Client(f"http://{server.address}", backoff=Backoff(first_s=0.05, give_up_after_s=60)) as client:
        upload = client.upload(file, on_progress=lambda here, _: seen.append(here), on_lost=lost)
    assert upload.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert seen == sorted(seen)
    assert 8 << 20 in seen


def _send_half_and_kill(server: Server, id: str, offset: int, file: Path) -> None:
    """A part without a checksum, of which the server writes some and then dies."""
    host, _, port = server.address.partition(":")
    with socket.create_connection((host, int(port))) as raw:
        length = file.stat().st_size - offset
        lines = [f"PATCH /api/v1/uploads/{id} HTTP/1.1", f"Host: {server.address}", "Tus-Resumable: 1.0.0"]
        lines += [f"Upload-Offset: {offset}", "Content-Type: application/offset+octet-stream"]
        lines += [f"Content-Length: {length}"]
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        raw.sendall(b"\0" * (3 << 20))  # not even the file's own bytes
        data = file.parent / "uploads" / id / "data"
        deadline = time.monotonic() + 20
        while data.stat().st_size < offset + (1 << 20) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert data.stat().st_size > offset
        server.kill()
