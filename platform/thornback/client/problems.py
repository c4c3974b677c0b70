"""application/problem+json -> the error that the server raised."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx2

from thornback.errors import Conflict, InvalidInput, NotFound, ThornbackError, Unavailable, class_of_code

# Members of RFC 9457 itself; all others are our details.
_STANDARD_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code"})


class ServerUnreachable(Unavailable):
    """No connection to the API, or it was cut in the middle of an answer."""

    code = "server_unreachable"


def error_of(response: httpx2.Response) -> ThornbackError:
    """The error that a response of 400 and more stands for; its body must have been read.

    The class follows the problem's `code`. An answer without one (a proxy's page, say) gets the class
    that its status means.
    """
    body = _problem(response)
    kind = class_of_code(body.get("code"))
    message = str(body.get("detail") or body.get("title") or f"the server answered {response.status_code}")
    details = {name: value for name, value in body.items() if name not in _STANDARD_MEMBERS}
    details.setdefault("http_status", response.status_code)
    return (kind or _class_of_status(response.status_code)).rebuild(message, details)


def unreachable(error: httpx2.TransportError, url: str) -> ServerUnreachable:
    """A failed connection as ours."""
    reason = str(error) or type(error).__name__
    return ServerUnreachable(f"cannot reach the server at {url} ({reason}); is it running? Start it: thornback up")


def _problem(response: httpx2.Response) -> Mapping[str, Any]:
    if "json" not in response.headers.get("content-type", ""):
        return {}
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _class_of_status(status: int) -> type[ThornbackError]:
    if status == HTTPStatus.NOT_FOUND:
        return NotFound
    if status == HTTPStatus.CONFLICT:
        return Conflict
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE):
        return Unavailable
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return Unavailable
    return ThornbackError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InvalidInput
