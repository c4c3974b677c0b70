"""A span for each request that may change something. Who only looks is not traced: pages ask all the time."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thornback.telemetry import traces

_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
_SERVER_ERROR = 500


class TraceRequests:
    """ASGI middleware; a `traceparent` of the caller is gone on with."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] in _LOOKING or not traces.is_on():
            await self._app(scope, receive, send)
            return
        parent = Headers(scope=scope).get("traceparent")
        with traces.span(scope["method"], parent=parent, is_root=True) as made:

            async def watch(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _describe(made, scope, message["status"])
                await send(message)

            await self._app(scope, receive, watch)


def _describe(made: object, scope: Scope, status: int) -> None:
    """By OpenTelemetry's conventions for HTTP servers; the route, so that names are few."""
    from opentelemetry.trace import Span, StatusCode

    assert isinstance(made, Span)  # noqa: S101 - tracing was on a moment ago
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        made.update_name(f"{scope['method']} {route}")
        made.set_attribute("http.route", route)
    made.set_attribute("http.request.method", scope["method"])
    made.set_attribute("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        made.set_status(StatusCode.ERROR)
