"""What is refused before any route sees it, and the headers that every answer carries.

The browser of somebody who may use this server must not become the way in for others: a page from elsewhere can
neither start nor stop trainings (Origin), nor pose as this server by pointing its own name at the loopback
address (Host). Pages of `allowed_origins` may, and whoever has a ticket may read what it is for.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.api.limits import BODY_S, MAX_DEPTH, check_head, is_too_deep
from serve_apps.api.problems import problem_response
from serve_apps.api.urls import parse_base
from thornback.settings import Settings

MAX_BODY_BYTES = 1 << 20  # a job specification is a few kB
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# What is sent here proves by its signature who sent it, whatever name it was sent to; and it may be large.
SIGNED_PATHS = frozenset(
    f"{prefix}/{provider}" for prefix in ("/api/v1/webhooks", "/api/webhooks") for provider in ("replicate", "fal")
)

# Too large for memory; the route counts the bytes itself.
STREAMED_PATHS = frozenset({"/api/v1/datasets"})
STREAMED_BELOW = "/api/v1/uploads/"

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class _ClientLeft(Exception):
    """The client hung up before its body was whole."""


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._public_host = parse_base(settings.public_url).host.lower() if settings.public_url else None
        self._loopback_only = _is_loopback(settings.host)
        self._webhook_max_bytes = settings.webhook_max_bytes
        self._origins = frozenset(map(_without_default_port, settings.allowed_origins))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the answer's headers completed."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        has_ticket = _has_ticket(scope)
        send = _with_headers(send, readable=has_ticket)
        is_signed = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in SIGNED_PATHS
        refusal = check_head(scope) or (None if is_signed else self._refusal(scope))
        if refusal is not None:
            await _refuse(scope, receive, send, *refusal)
            return
        has_body = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if has_body and not _is_streamed(scope["path"]):
            most = self._webhook_max_bytes if is_signed else MAX_BODY_BYTES
            try:
                async with asyncio.timeout(BODY_S):
                    body = await _read_body(scope, receive, most)
            except _ClientLeft:
                return
            except TimeoutError:
                await _refuse(scope, receive, send, "body_too_slow", f"the body was not here after {BODY_S:g} s")
                return
            if body is None:
                text = f"the body is larger than {most} bytes"
                await _refuse(scope, receive, send, "body_too_large", text)
                return
            if not is_signed and is_too_deep(body):
                await _refuse(scope, receive, send, "invalid_json", f"the body has more than {MAX_DEPTH} levels")
                return
            receive = _replay(body, receive)
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[str, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if self._loopback_only and not _is_loopback(_name(host)) and host != self._public_host:
            return "unknown_host", f"this server listens on loopback only and does not answer for {host!r}"
        if (scope["type"] == "http" and scope["method"] in SAFE_METHODS) or _has_ticket(scope):
            return None
        origin = headers.get("origin")
        if origin is None:
            # Browsers send Sec-Fetch-Site with every request to a trustworthy address; programs do not.
            if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
                return None
            return "cross_origin", "another site's page asked for this"
        if _without_default_port(origin) in self._origins:
            return None
        if is_own(origin, headers, self._public_host):
            return None
        return "cross_origin", f"a page of {origin} asked for this; only pages of this server may"


def is_own(origin: str, headers: Mapping[str, str], public_host: str | None) -> bool:
    """True for the origin of this server's own pages, by whatever name they were asked for."""
    own = {headers.get("host", "").lower(), headers.get("x-forwarded-host", "").lower(), public_host}
    return _without_default_port(origin) in {_strip_port(origin, name) for name in own if name}


def _has_ticket(scope: Scope) -> bool:
    """True for what only reads and says by a ticket who asks; whether it is a good one, its route finds out."""
    only_reads = scope["type"] == "websocket" or scope["method"] in ("GET", "HEAD")
    return only_reads and "ticket" in QueryParams(scope["query_string"])


def _is_streamed(path: str) -> bool:
    return path in STREAMED_PATHS or path.startswith(STREAMED_BELOW)


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """The host without its port; brackets of IPv6 removed."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _without_default_port(origin: str) -> str:
    parts = urlsplit(origin)
    return _strip_port(origin, parts.netloc.lower()) if parts.scheme in ("http", "https") else ""


def _strip_port(origin: str, netloc: str) -> str:
    return netloc.removesuffix(":443" if origin.startswith("https:") else ":80")


async def _refuse(scope: Scope, receive: Receive, send: Send, code: str, detail: str) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect; closing before accepting answers the handshake with 403
        await send({"type": "websocket.close", "code": 1008, "reason": detail[:120]})
        return
    await problem_response(code, detail, instance=scope["path"])(scope, receive, send)


async def _read_body(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """The whole body, None where it has more than `most` bytes. Raises _ClientLeft."""
    length = Headers(scope=scope).get("content-length", "")
    if length.isdecimal() and int(length) > most:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def replayed() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replayed


def _with_headers(send: Send, *, readable: bool) -> Send:
    """`readable`: pages of any site may read the answer; they have a ticket, and no cookie comes along."""

    async def completed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            if readable:
                headers.setdefault("Access-Control-Allow-Origin", "*")
        await send(message)

    return completed
