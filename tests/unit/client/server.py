"""A scripted server behind httpx2's MockTransport: canned answers, and a note of what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from thornback.client import Backoff, Client

JOB_ID = "01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11"


def job(**fields: Any) -> dict[str, Any]:
    """A job as the API shows it."""
    return {"id": JOB_ID, "job_name": "A job", "status": "running", **fields}


def problem(status: int, code: str, detail: str = "what went wrong", **details: Any) -> httpx2.Response:
    """A problem document."""
    body = {"type": f"urn:thornback:problem:{code}", "title": "T", "status": status, "detail": detail, "code": code}
    content = json.dumps({**details, **body})
    return httpx2.Response(status, content=content, headers={"content-type": "application/problem+json"})


def event(number: int, kind: str = "stage", **data: Any) -> str:
    """One event in SSE framing."""
    body = {"id": number, "job_id": JOB_ID, "kind": kind, "at": "2026-01-01T00:00:00Z", "data": data}
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(body)}\n\n"


class Cut(httpx2.SyncByteStream):
    """A body that breaks off after its last part."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        """The parts, then a connection that is gone."""
        yield from (part.encode() for part in self._parts)
        raise httpx2.ReadError("connection reset")


def sse(*events: str, cut: bool = False) -> httpx2.Response:
    """A stream that ends in order, or is cut."""
    headers = {"content-type": "text/event-stream"}
    if cut:
        return httpx2.Response(200, headers=headers, stream=Cut(*events))
    return httpx2.Response(200, headers=headers, content="".join(events).encode())


Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


@dataclass
class Script:
    """Answers by `METHOD path`; several answers are given in turn, the last one for ever."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[httpx2.Request] = field(default_factory=list)

    def on(self, route: str, *answers: Answer) -> Script:
        """Answer `route` like this."""
        self.answers[route] = list(answers)
        return self

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """MockTransport's handler."""
        self.requests.append(request)
        left = self.answers[f"{request.method} {request.url.path}"]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def client(self, **options: Any) -> Client:
        """A client of this server that does not wait long between tries."""
        options.setdefault("backoff", Backoff(first_s=0.001, longest_s=0.001, floor_s=0.0))
        return Client("http://server:1", transport=httpx2.MockTransport(self), **options)

    def asked(self, route: str) -> list[httpx2.Request]:
        """The requests of one route."""
        return [item for item in self.requests if f"{item.method} {item.url.path}" == route]
