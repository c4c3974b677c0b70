"""How many requests one key and one address may send; refused before their bodies are read.

Whoever sends a key, a session's cookie or a ticket is counted by that, whether it is good or not: nobody can use up
what belongs to another without knowing the secret. All others, and everybody's requests together, are counted by
address. Each process counts by itself; of several replicas each allows its part (`rate_replicas`).
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Literal

from limits import RateLimitItem, parse
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.api.guard import SAFE_METHODS, SECURITY_HEADERS, SIGNED_PATHS
from serve_apps.api.principal import COOKIE
from serve_apps.api.problems import problem_response
from serve_apps.api.windows import Windows
from thornback.errors import SettingsError
from thornback.settings import Settings

RouteClass = Literal["reads", "creates", "uploads", "sign_in", "address"]

DEFAULTS: Mapping[RouteClass, str] = {
    "reads": "1200/minute",
    "creates": "120/minute",
    "uploads": "1200/minute",  # a resumable upload is many requests
    "sign_in": "20/minute",
    "address": "6000/minute",
}
_SIGN_IN = "/api/v1/session"
_UPLOADS = ("/api/v1/uploads", "/api/v1/datasets")
_UNCOUNTED = ("/healthz", "/readyz")  # who asks them restarts us where they say no


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request, and what its answer says of the limit."""

    name: RouteClass
    limit: int
    window_s: int
    left: int
    reset_s: int  # until the next one has room, or the oldest is forgotten
    allowed: bool

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers has them."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={self.window_s}',
            "RateLimit": f'"{self.name}";r={self.left};t={self.reset_s}',
        }


class Rates:
    """The limits of one process."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises SettingsError for a limit that cannot be read."""
        self._clock = clock
        self._limiter = MovingWindowRateLimiter(Windows(clock))
        self._limits = _limits(settings)
        self._proxies = _networks(settings.trusted_proxies)

    def count(self, scope: Scope) -> Verdict | None:
        """Count a request; None for one that is not counted."""
        path = scope["path"]
        if path in _UNCOUNTED or (scope.get("method") == "POST" and path in SIGNED_PATHS):
            return None
        address = self._address(scope)
        first = self._hit("address", address)
        if not first.allowed or not path.startswith(("/api/", "/ws/", "/training/")):
            return first
        name = class_of(scope)
        who = None if name == "sign_in" else _secret(scope)
        return self._hit(name, f"a {address}" if who is None else f"k {who}")

    def _hit(self, name: RouteClass, who: str) -> Verdict:
        item = self._limits[name]
        allowed = self._limiter.hit(item, name, who)
        reset_at, left = self._limiter.get_window_stats(item, name, who)
        return Verdict(
            name, item.amount, item.get_expiry(), max(left, 0), max(1, math.ceil(reset_at - self._clock())), allowed
        )

    def _address(self, scope: Scope) -> str:
        """Of the client; behind a proxy that is trusted, the last one that no trusted proxy names itself."""
        client = scope.get("client")
        hops = [client[0]] if client else [""]
        if self._is_proxy(hops[0]):
            told = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
            hops += [hop.strip() for hop in reversed(told.split(",")) if hop.strip()]
        named = next((hop for hop in hops if not self._is_proxy(hop)), hops[-1])
        return _network_of(named)

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


class RateGate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, rates: Rates) -> None:
        self._app, self._rates = app, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with what is left in the answer's headers."""
        verdict = self._rates.count(scope) if scope["type"] in ("http", "websocket") else None
        if verdict is None:
            await self._app(scope, receive, send)
        elif verdict.allowed:
            await self._app(scope, receive, _with_headers(send, verdict))
        else:
            await _refuse(scope, receive, send, verdict)


def class_of(scope: Scope) -> RouteClass:
    """Which limit a request counts for."""
    path, method = scope["path"], scope.get("method", "GET")
    if path == _SIGN_IN and method == "POST":
        return "sign_in"
    if method in SAFE_METHODS:
        return "reads"
    return "uploads" if path.startswith(_UPLOADS) else "creates"


async def _refuse(scope: Scope, receive: Receive, send: Send, verdict: Verdict) -> None:
    words = f"more than {verdict.limit} requests ({verdict.name}) in {verdict.window_s} s"
    detail = f"{words}; try again in {verdict.reset_s} s"
    if scope["type"] == "websocket":
        await receive()  # websocket.connect; closing before accepting refuses the handshake
        await send({"type": "websocket.close", "code": 1013, "reason": detail[:120]})
        return
    headers = {**SECURITY_HEADERS, **verdict.headers(), "Retry-After": str(verdict.reset_s)}
    facts = {"retry_after_s": verdict.reset_s, "limit": verdict.limit, "window_s": verdict.window_s}
    answer = problem_response(
        "too_many_requests",
        detail,
        instance=scope["path"],
        details=facts,
        headers={**headers, "Cache-Control": "no-store"},
    )
    await answer(scope, receive, send)


def _with_headers(send: Send, verdict: Verdict) -> Send:
    async def completed(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(verdict.headers())
        await send(message)

    return completed


def _secret(scope: Scope) -> str | None:
    """A digest of what says who asks, in the order in which it is believed; None where nothing does."""
    headers = Headers(scope=scope)
    given: str | None = QueryParams(scope["query_string"]).get("ticket")
    given = given or headers.get("authorization", "").partition(" ")[2].strip() or _cookie(headers)
    return hashlib.sha256(given.encode()).hexdigest() if given else None


def _cookie(headers: Headers) -> str | None:
    text = headers.get("cookie", "")
    if COOKIE not in text:
        return None
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def _network_of(address: str) -> str:
    """IPv6: the /64, of which one customer has all addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((found, 64), strict=False))


def _limits(settings: Settings) -> dict[RouteClass, RateLimitItem]:
    limits: dict[RouteClass, RateLimitItem] = {}
    for name, text in {**DEFAULTS, **settings.rate_limits}.items():
        try:
            item = parse(text)
        except ValueError:
            raise SettingsError.field(
                "THORNBACK_RATE_LIMITS", f"{name}: {text!r} is no limit; write it as 60/minute or 5 per 10 second"
            ) from None
        share = max(1, item.amount // settings.rate_replicas)
        limits[name] = type(item)(share, item.multiples)
    return limits


def _networks(texts: list[str]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts)
    except ValueError as error:
        raise SettingsError.field("THORNBACK_TRUSTED_PROXIES", f"{error}; write e.g. 10.0.0.0/8") from None


def are_counted(settings: Settings) -> bool:
    """Whether requests are counted here."""
    if settings.rate_limit == "auto":
        return settings.has_access_control
    return settings.rate_limit == "on"
