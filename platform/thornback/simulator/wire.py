"""JSON and moments as the providers write them, with what some of their answers get wrong."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HANGUP = "simulator.hangup"
"""The extension of the server's scope that breaks the connection off."""


def dump(body: Any, *, raw_controls: bool = False) -> bytes:
    """JSON in one line; with `raw_controls` ESC and CR stand in its texts unescaped, which JSON forbids."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    if raw_controls:
        text = text.replace("\\u001b", "\x1b").replace("\\r", "\r")
    return text.encode()


def answer(
    body: Any, status: int = 200, *, raw_controls: bool = False, headers: dict[str, str] | None = None
) -> Response:
    """A JSON response."""
    return Response(dump(body, raw_controls=raw_controls), status, headers, media_type="application/json")


def replicate_problem(status: int, detail: str, *, title: str | None = None, **more: Any) -> Response:
    """An error in Replicate's form."""
    return answer({**({"title": title} if title else {}), "detail": detail, "status": status, **more}, status)


def fal_problem(status: int, detail: Any, *, kind: str | None = None) -> Response:
    """An error in one of fal's two forms."""
    body = {"detail": detail, **({"error_type": kind} if kind else {})}
    return answer(body, status, headers={"x-fal-error-type": kind} if kind else None)


def milliseconds(moment: datetime) -> str:
    """As in `created_at`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def microseconds(moment: datetime) -> str:
    """As in `completed_at`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def nanoseconds(moment: datetime) -> str:
    """As in `started_at`: more digits than Python keeps."""
    more = zlib.crc32(moment.isoformat().encode()) % 1000
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}{more:03d}Z"


def bearer(request: Request, *schemes: str) -> str | None:
    """The credentials of a request; None where it has none of these schemes."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() in schemes and value.strip() else None


class HangUp(Response):
    """No answer: the connection breaks off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Break it off, and wait until the server knows that there is nobody to answer."""
        hangup = scope.get("extensions", {}).get(HANGUP)
        if hangup is None:
            raise RuntimeError("this server cannot break connections off; run it by SimulatorServer")
        hangup()
        while (await receive())["type"] != "http.disconnect":
            pass
