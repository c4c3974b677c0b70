"""A server of bare bytes: it takes requests and answers what the test says, or nothing, or half."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

DROP = b""  # take the request and close


def answer(body: Any, status: int = 200, **headers: str) -> bytes:
    """A whole answer with a JSON body; text is sent as it is."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


HALF = answer({"id": "x" * 100})[:-20]  # the connection drops within the body


@dataclass
class RawServer:
    """What came in, and what goes out next; the last answer is given again and again."""

    url: str = ""
    requests: list[str] = field(default_factory=list)  # "POST /path"
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: deque[bytes] = field(default_factory=deque)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)  # set: a request is in and nobody answers it

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line), 0
            )
            self.bodies.append(await reader.readexactly(length))
            self.heads.append(head)
            self.requests.append(head.split(" HTTP/")[0])
            if not self.answers:
                self.waiting.set()
                await reader.read()  # until the other side gives up
                return
            writer.write(self.answers.popleft() if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw_server(*answers: bytes) -> AsyncIterator[RawServer]:
    """Start one on a free port."""
    state = RawServer(answers=deque(answers))
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    state.url = f"http://{host}:{port}"
    async with server:
        yield state
