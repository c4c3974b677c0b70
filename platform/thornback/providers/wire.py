"""The transport under both official clients: one call of theirs is one request, and it cannot hang.

Replicate's client repeats GETs and sleeps as long as Retry-After says, fal's client repeats even a paid
submit up to ten times, and both do so after an error of httpx. Here errors become `Fault`, which neither
of them knows, before they see them; so nothing is repeated below us. The body is read here too, because a
connection that drops in the middle of an answer would otherwise be repeated as well.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from thornback.providers.faults import NoAnswer, Refusal

# Nothing has been sent when these are raised.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)

# predictions.create of Replicate's client asks for no time-out at all, so these go over every request.
TIMEOUT = httpx.Timeout(connect=10.0, read=60.0, write=60.0, pool=60.0)
# A connection that the far side closes as an order goes out on it loses the answer, so none idles for long.
LIMITS = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=5.0)


class Wire(httpx.AsyncBaseTransport):
    """Send a request once; raises Fault for everything but 2xx."""

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None, *, base: str | None = None) -> None:
        """Wrap a transport.

        Args:
            inner: what sends; left out: plain HTTP of its own.
            base: where every request goes instead of the host that it names, its path added to this one's.
        """
        self._inner = inner or httpx.AsyncHTTPTransport(limits=LIMITS)
        self._base = httpx.URL(base) if base else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send and read to the end."""
        request.extensions = {**request.extensions, "timeout": TIMEOUT.as_dict()}
        self._route(request)
        try:
            response = await self._inner.handle_async_request(request)
            try:
                body = await response.aread()
            finally:
                await response.aclose()
        except _NOT_SENT as error:
            raise NoAnswer(_words(error), sent=False) from None
        except (httpx.RequestError, httpx.StreamError) as error:
            raise NoAnswer(_words(error), sent=True) from None
        if not response.is_success:
            raise Refusal(response.status_code, response.headers, body)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _route(self, request: httpx.Request) -> None:
        base = self._base
        if base is None or request.url.host == base.host:
            return
        path = base.raw_path.rstrip(b"/") + request.url.raw_path
        request.url = base.copy_with(raw_path=path)
        request.headers["Host"] = base.netloc.decode("ascii")


def host_of(url: str) -> str | None:
    """The host and port of an http(s) address in small letters; None for anything else."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None or parts.username is not None:
            return None
        port = parts.port
    except ValueError:
        return None
    return parts.hostname if port in (None, 80, 443) else f"{parts.hostname}:{port}"


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
