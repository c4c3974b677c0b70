"""The one HTTP client for addresses that users name or providers answer with."""

from __future__ import annotations

import ssl
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore
import httpx

from thornback.net.connect import GuardedBackend, Own, Resolve, own_addresses, resolve
from thornback.net.rules import PUBLIC_ONLY, AddressRules

TIMEOUT = httpx.Timeout(30.0, read=60.0)
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """Checks every request's address, redirects too, and connects to what was checked.

    Proxies of the environment are not used: a proxy resolves names by itself, and no check here would hold.
    """

    def __init__(
        self,
        rules: AddressRules = PUBLIC_ONLY,
        *,
        limits: httpx.Limits = LIMITS,
        resolve: Resolve = resolve,
        own: Own = own_addresses,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        # httpx has no argument for httpcore's network backend; its __init__ does no more than make such a pool.
        self._rules = rules
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trusted(),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=GuardedBackend(rules, resolve=resolve, own=own, inner=inner),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises AddressRefused, and what httpx raises."""
        self._rules.check_url(request.url)
        return await super().handle_async_request(request)


class GuardedClient(httpx.AsyncClient):
    """httpx's client on a guarded transport; it follows no redirect unless it is told to, and keeps no cookies."""

    def __init__(
        self,
        rules: AddressRules = PUBLIC_ONLY,
        *,
        transport: GuardedTransport | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        """Open one.

        Args:
            rules: what may be reached.
            transport: one with a name server of its own, for tests; `rules` are then the transport's.
            timeout: of each step of a request.
        """
        super().__init__(
            transport=transport or GuardedTransport(rules), timeout=timeout, trust_env=False, cookies=_none()
        )


@cache
def _trusted() -> ssl.SSLContext:
    """The usual authorities; read once, for that takes tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)


def _none() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
