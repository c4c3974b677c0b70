"""fal, through its official client.

The client gives its addresses, headers, uploads and its way to a second domain. Its retries do not reach a
submit, because our transport hides errors from it; its strict reading of answers is not used, because an
answer that it cannot parse would lose the id of something paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from thornback.errors import InvalidInput, OrderUnknown, ProviderRefused, ProviderUnavailable
from thornback.providers.calls import UPLOAD_S, Calls
from thornback.providers.fal_body import detail_text, read_listed, read_sighting
from thornback.providers.faults import Refusal, Unreadable
from thornback.providers.inputs import covers
from thornback.providers.port import Order, ProviderHealth, Sighting
from thornback.providers.reading import load_body, load_json
from thornback.providers.wire import host_of
from thornback.settings import Settings

if TYPE_CHECKING:
    from thornback.providers.fal_wire import FalClient

__all__ = ["FalProvider", "read_sighting"]

# fal limits what runs at once, not what is queued; this only keeps a mistake of ours from flooding it.
ORDERS_PER_MINUTE = 1200
QUESTIONS_PER_MINUTE = 3000
SKEW = timedelta(minutes=5)  # between fal's clock and ours
MAX_PAGES = 20  # of 100
LIST_URL = "https://api.fal.ai/v1/models/requests/by-endpoint"
LOOK_AGAIN_S = 30.0  # for an order that may be running, which fal's list does not show
# Answers to the question for a result that say nothing of the run itself.
_NOT_THE_RUNS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}


class FalProvider:
    """Requests in fal's queue; belongs to the event loop of its first call."""

    name = "fal"

    def __init__(self, settings: Settings, now: Callable[[], datetime], *, calls: Calls | None = None) -> None:
        self._key = settings.fal_key or ""
        self._base = settings.fal_url.rstrip("/") if settings.fal_url else None
        self._now = now
        self._calls = calls or Calls(
            self.name, now, orders_per_minute=ORDERS_PER_MINUTE, questions_per_minute=QUESTIONS_PER_MINUTE
        )
        self._client: FalClient | None = None

    async def submit(self, order: Order) -> Sighting:
        """Send an order: one request."""

        async def send() -> Sighting:
            url = self._fal().queue_url(order.endpoint)
            query = {"fal_webhook": order.webhook_url} if order.webhook_url is not None else None
            body = await self._body("POST", url, params=query, json=dict(order.inputs))
            return read_sighting({"status": "IN_QUEUE", **body}, endpoint=order.endpoint, inputs=order.inputs)

        return await self._calls.order(send)

    async def find(self, order: Order, *, known: frozenset[str]) -> Sighting | None:
        """Look through fal's list of requests.

        The list holds requests that have ended, and fal has none of those in its queue. So an order can be
        found in it but never be ruled out, and where it is not found nothing may be sent again.
        """
        start = (order.intended_at or self._now() - timedelta(days=1)) - SKEW
        query = {"endpoint_id": order.endpoint, "start": start.isoformat(), "expand": "payloads", "limit": "100"}
        for _ in range(MAX_PAGES):
            try:
                rows, cursor = await self._calls.ask(lambda: self._page(query))
            except (ProviderRefused, OrderUnknown) as error:  # not every key may see the list
                raise _cannot_tell(f"fal does not show its list of requests: {error.details['text']}") from None
            for row in rows:
                if row.provider_id not in known and covers(row.inputs, order.inputs):
                    return row
            if cursor is None:
                break
            query["cursor"] = cursor
        raise _cannot_tell("fal lists no such request that has ended, and it may be in its queue")

    async def look(self, endpoint: str, call: str, provider_id: str) -> Sighting:
        """Look at a request; one that is completed is read with its result, which alone tells whether it failed."""

        async def ask() -> Sighting:
            status_url, result_url, _ = self._fal().request_urls(endpoint, quote(provider_id, safe=""))
            body = await self._body("GET", status_url, params={"logs": "true"})
            if body.get("status") == "COMPLETED":
                body |= await self._result(result_url)
            return read_sighting({**body, "request_id": provider_id}, endpoint=endpoint)

        return await self._calls.ask(ask)

    async def cancel(self, endpoint: str, call: str, provider_id: str) -> None:
        """Ask it to end; one that has ended is no error."""

        async def ask() -> None:
            _, _, cancel_url = self._fal().request_urls(endpoint, quote(provider_id, safe=""))
            await self._fal().request("PUT", cancel_url)

        try:
            await self._calls.ask(ask)
        except (ProviderRefused, OrderUnknown):  # ALREADY_COMPLETED is a 400
            if not (await self.look(endpoint, call, provider_id)).phase.is_over:
                raise

    async def upload(self, path: Path, *, content_type: str | None = None) -> str:
        """Hand a file over; its name tells fal what it is."""

        async def send() -> str:
            try:
                return await self._fal().upload_file(path)
            except (KeyError, TypeError, ValueError) as error:  # an answer that the client cannot read
                raise Unreadable(f"its answer to an upload cannot be read: {error!r}") from None

        return await self._calls.ask(send, within_s=UPLOAD_S)

    def download_headers(self, url: str) -> Mapping[str, str]:
        """The key, for our own fal alone; what fal makes lies open to everyone who has the address."""
        host = host_of(url)
        own = host is not None and self._base is not None and host == host_of(self._base)
        safe = host is not None and url.startswith("https://") and host.endswith((".fal.run", ".fal.ai"))
        return {"Authorization": f"Key {self._key}"} if own or safe else {}

    def health(self) -> ProviderHealth:
        """Breaker and limits."""
        return self._calls.health()

    async def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _page(self, query: Mapping[str, str]) -> tuple[list[Sighting], str | None]:
        """The rows of one page of the list, and what asks for the next."""
        page = await self._body("GET", LIST_URL, params=query)
        rows, cursor = page.get("items"), page.get("next_cursor")
        if not isinstance(rows, list):
            raise InvalidInput.field("items", "it must be a list")
        further = cursor if page.get("has_more") and isinstance(cursor, str) else None
        return [read_listed(row) for row in rows], further

    async def _result(self, url: str) -> dict[str, Any]:
        try:
            response = await self._fal().request("GET", url)
        except Refusal as refusal:
            if not _tells_of_the_run(refusal):
                raise
            return {
                "result_status": refusal.status,
                "error_type": refusal.headers.get("x-fal-error-type"),
                "payload": _payload(refusal),
                "error": None if detail_text(_payload(refusal)) else refusal.text,
            }
        try:
            return {"result_status": response.status_code, "payload": load_json(response.content)}
        except InvalidInput as error:
            raise Unreadable(f"its result cannot be read: {error.message}") from None

    async def _body(self, method: str, url: str, **kwargs: Any) -> dict[str, Any]:
        return load_body((await self._fal().request(method, url, **kwargs)).content)

    def _fal(self) -> FalClient:
        if self._client is None:
            from thornback.providers.fal_wire import FalClient  # half a second, and few processes need it

            self._client = FalClient(self._key, base=self._base)
        return self._client


def _payload(refusal: Refusal) -> Any:
    try:
        return load_json(refusal.body)
    except InvalidInput:
        return None


def _tells_of_the_run(refusal: Refusal) -> bool:
    """True where an error status is the run's own end; an error page of some server before fal's is not."""
    if refusal.status in _NOT_THE_RUNS:
        return False
    return refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(_payload(refusal), dict)


def _cannot_tell(why: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{why}; so the order is not sent again", provider="fal", status=None, text=None, retry_after_s=LOOK_AGAIN_S
    )
