"""How a client reaches this server: what the request says, what proxies say, what the settings say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from thornback.settings import Settings

# A header that does not look like a host is not copied into a link.
_HOST = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_]+)(:\d{1,5})?$")
_PREFIX = re.compile(r"^(/[A-Za-z0-9._~%\-]+)*/?$")


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """Scheme, host and path prefix under which a client sees this server."""

    scheme: str  # http or https
    host: str  # with its port where that is not the scheme's own
    prefix: str  # "" or "/something"

    def http(self, path: str) -> str:
        """The address of a path for HTTP."""
        return f"{self.scheme}://{self.host}{self.prefix}{path}"

    def websocket(self, path: str) -> str:
        """The address of a path for WebSockets: wss where HTTP is https."""
        scheme = "wss" if self.scheme == "https" else "ws"
        return f"{scheme}://{self.host}{self.prefix}{path}"


def base_url(connection: HTTPConnection, settings: Settings) -> BaseUrl:
    """`public_url` wins, then Forwarded (RFC 7239), then X-Forwarded-*, then the request itself."""
    if settings.public_url:
        return parse_base(settings.public_url)
    headers = connection.headers
    forwarded = _forwarded(headers.get("forwarded", ""))
    scheme = forwarded.get("proto") or _first(headers.get("x-forwarded-proto", ""))
    scheme = {"wss": "https", "ws": "http"}.get(scheme.lower(), scheme.lower())
    if scheme not in ("http", "https"):
        scheme = "https" if connection.url.scheme in ("https", "wss") else "http"
    host = forwarded.get("host") or _forwarded_host(connection)
    if not _HOST.match(host):
        host = headers.get("host", "")
    if not _HOST.match(host):
        host = f"{settings.host}:{settings.port}"
    prefix = _first(headers.get("x-forwarded-prefix", ""))
    return BaseUrl(scheme, host, prefix.rstrip("/") if _PREFIX.match(prefix) else "")


def parse_base(url: str) -> BaseUrl:
    """A base from `https://host[:port][/prefix]`."""
    scheme, _, rest = url.partition("://")
    host, slash, prefix = rest.partition("/")
    return BaseUrl(scheme.lower(), host, (slash + prefix).rstrip("/"))


def _forwarded_host(connection: HTTPConnection) -> str:
    host = _first(connection.headers.get("x-forwarded-host", ""))
    port = _first(connection.headers.get("x-forwarded-port", ""))
    has_port = re.search(r":\d+$", host) is not None
    if host and port.isdecimal() and port not in ("80", "443") and not has_port:
        return f"{host}:{port}"
    return host


def _first(value: str) -> str:
    """The entry that the proxy nearest to the client wrote."""
    return value.split(",", maxsplit=1)[0].strip()


def _forwarded(value: str) -> dict[str, str]:
    pairs = {}
    for pair in _first(value).split(";"):
        name, _, content = pair.partition("=")
        pairs[name.strip().lower()] = content.strip().strip('"')
    return pairs
