"""Replicate, through its official client.

The client's typed calls are not used for orders: its Training drops the metrics and cannot be made from the
status `aborted`, and an answer that it cannot parse would lose the id of something paid for. Its HTTP client,
with its addresses and headers, is.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from thornback.errors import InvalidInput, OrderUnknown, ProviderRefused, ProviderUnavailable
from thornback.providers.calls import UPLOAD_S, Calls, none_for_sure
from thornback.providers.inputs import covers
from thornback.providers.port import Order, ProviderHealth, Sighting
from thornback.providers.reading import is_address, load_body
from thornback.providers.replicate_body import read_sighting
from thornback.providers.wire import Wire, host_of
from thornback.settings import Settings

if TYPE_CHECKING:
    from replicate.client import Client

__all__ = ["ReplicateProvider", "read_sighting"]

ORDERS_PER_MINUTE = 600
QUESTIONS_PER_MINUTE = 3000
SKEW = timedelta(minutes=5)  # between Replicate's clock and ours
MAX_PAGES = 20  # of 100, newest first
# Sent where asked for; of these, only `completed` is repeated when nobody takes it.
EVENTS = {"training": ["start", "logs", "completed"], "prediction": ["start", "completed"]}
# Where its files lie; an address of an output needs the key as well.
FILE_HOSTS = ("replicate.delivery", "replicate.com")
# A model is made before its first version, which says on what it runs; this is what it is called until then.
NEW_MODEL = {"visibility": "private", "hardware": "gpu-t4"}


class ReplicateProvider:
    """Trainings and predictions at Replicate; belongs to the event loop of its first call."""

    name = "replicate"

    def __init__(self, settings: Settings, now: Callable[[], datetime], *, calls: Calls | None = None) -> None:
        self._token = settings.replicate_api_token
        self._base = settings.replicate_url.rstrip("/").removesuffix("/v1")
        self._settle_s = settings.provider_settle_s
        self._now = now
        self._opened_at = now()
        self._calls = calls or Calls(
            self.name, now, orders_per_minute=ORDERS_PER_MINUTE, questions_per_minute=QUESTIONS_PER_MINUTE
        )
        self._client: Client | None = None
        self._destinations: set[str] = set()  # those known to exist
        self._sent_at: dict[tuple[str, int, int], datetime] = {}  # last attempts that nobody answered

    async def submit(self, order: Order) -> Sighting:
        """Send an order: one request. The model that receives a training is made first where it is missing."""
        body: dict[str, Any] = {"input": dict(order.inputs)}
        if order.webhook_url is not None:
            body |= {"webhook": order.webhook_url, "webhook_events_filter": EVENTS[order.call]}
        model, _, version = order.endpoint.partition(":")
        if order.call == "training":
            body["destination"] = await self._destination(order)
            path = f"/v1/models/{model}/versions/{version}/trainings"
        elif version:
            path = "/v1/predictions"
            body["version"] = version
        else:
            path = f"/v1/models/{model}/predictions"
        key = (order.job_id, order.item, order.number)
        self._sent_at[key] = self._now()
        try:
            sighting = await self._calls.order(lambda: self._sighting("POST", path, json=body))
        except (ProviderRefused, ProviderUnavailable):
            self._sent_at.pop(key, None)
            raise
        self._sent_at.pop(key, None)  # another attempt, sent since this one was given up, may have ended it
        return sighting

    async def find(self, order: Order, *, known: frozenset[str]) -> Sighting | None:
        """Look through the newest trainings or predictions for one with the same model and inputs.

        Nothing that we choose comes back in a list, so orders with equal inputs cannot be told apart.
        """
        since = (order.intended_at or self._now() - timedelta(days=1)) - SKEW
        path = _collection(order.call)
        for _ in range(MAX_PAGES):
            rows, further = await self._calls.ask(partial(self._page, path, order.call))
            found = _find(rows, order, known, since)
            if found is not None:
                return found
            if further is None or any(_is_before(row, since) for row in rows):
                self._believe_none(order)
                return None
            path = further
        raise ProviderUnavailable(
            f"replicate lists more than {MAX_PAGES * 100} newer {order.call}s; the order may be behind them",
            provider=self.name,
            status=None,
        )

    async def look(self, endpoint: str, call: str, provider_id: str) -> Sighting:
        """Look at a training or a prediction."""
        path = f"{_collection(call)}/{quote(provider_id, safe='')}"
        return await self._calls.ask(lambda: self._sighting("GET", path))

    async def cancel(self, endpoint: str, call: str, provider_id: str) -> None:
        """Ask it to end; one that has ended is no error."""
        path = f"{_collection(call)}/{quote(provider_id, safe='')}/cancel"
        try:
            await self._calls.ask(lambda: self._json("POST", path))
        except ProviderRefused:
            if not (await self.look(endpoint, call, provider_id)).phase.is_over:
                raise

    async def upload(self, path: Path, *, content_type: str | None = None) -> str:
        """Hand a file over; it is Replicate's for a day, and only our key opens it."""
        kind = content_type or mimetypes.guess_type(path.name)[0] or "application/octet-stream"

        async def send() -> str:
            with path.open("rb") as file:
                answer = await self._json("POST", "/v1/files", files={"content": (path.name, file, kind)})
            urls = answer.get("urls")
            address = urls.get("get") if isinstance(urls, dict) else None
            if not is_address(address):
                raise InvalidInput.field("urls.get", "it is missing")
            return str(address)

        return await self._calls.ask(send, within_s=UPLOAD_S)

    def download_headers(self, url: str) -> Mapping[str, str]:
        """The key, for Replicate's own hosts alone."""
        host = host_of(url)
        if host is None or self._token is None:
            return {}
        own = host == host_of(self._base)
        safe = url.startswith("https://") and any(host == known or host.endswith(f".{known}") for known in FILE_HOSTS)
        return {"Authorization": f"Bearer {self._token}"} if own or safe else {}

    def health(self) -> ProviderHealth:
        """Breaker and limits."""
        return self._calls.health()

    async def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client._async_client.aclose()
            self._client = None

    async def _destination(self, order: Order) -> str:
        """The model that receives the version, made where it does not exist; nothing here costs money."""
        name = order.destination or f"{await self._username()}/thornback-{order.job_id}"
        if name in self._destinations:
            return name
        owner, _, model = name.partition("/")
        try:
            await self._calls.ask(lambda: self._json("GET", f"/v1/models/{owner}/{model}"))
        except OrderUnknown:
            await self._make_model(owner, model)
        self._destinations.add(name)
        return name

    async def _make_model(self, owner: str, model: str) -> None:
        body = {"owner": owner, "name": model, **NEW_MODEL}
        try:
            await self._calls.ask(lambda: self._json("POST", "/v1/models", json=body))
        except ProviderRefused as error:
            if error.details.get("status") != HTTPStatus.CONFLICT:  # another order was first
                raise

    async def _username(self) -> str:
        try:
            name = (await self._calls.ask(lambda: self._json("GET", "/v1/account"))).get("username")
        except OrderUnknown:
            name = None
        if not isinstance(name, str) or not name:
            raise InvalidInput.field("config.destination", "Replicate does not tell whose key it is; say owner/name")
        return name

    def _believe_none(self, order: Order) -> None:
        """It is in no list; that says something once it would be."""
        times = [self._opened_at, order.intended_at, self._sent_at.get((order.job_id, order.item, order.number))]
        latest = max(moment for moment in times if moment is not None)
        none_for_sure(self.name, (self._now() - latest).total_seconds(), self._settle_s)

    async def _page(self, path: str, call: str) -> tuple[list[Sighting], str | None]:
        """The rows of one page of a list, and where the next is."""
        page = await self._json("GET", path)
        rows = page.get("results")
        if not isinstance(rows, list):
            raise InvalidInput.field("results", "it must be a list")
        return [read_sighting(row) for row in rows], _next(page, call)

    async def _sighting(self, method: str, path: str, **kwargs: Any) -> Sighting:
        return read_sighting(await self._json(method, path, **kwargs))

    async def _json(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        response = await self._own_client()._async_request(method, path, **kwargs)
        return load_body(response.content)

    def _own_client(self) -> Client:
        if self._client is None:
            from replicate.client import Client  # half a second, and few processes need it

            self._client = Client(api_token=self._token, base_url=self._base, transport=Wire())
        return self._client


def _collection(call: str) -> str:
    return "/v1/trainings" if call == "training" else "/v1/predictions"


def _next(page: Mapping[str, Any], call: str) -> str | None:
    """The next page at the same place: its address comes from outside and would get our key."""
    told = page.get("next")
    cursor = parse_qs(urlsplit(told).query).get("cursor") if isinstance(told, str) else None
    return f"{_collection(call)}?cursor={quote(cursor[0], safe='')}" if cursor else None


def _find(rows: list[Sighting], order: Order, known: frozenset[str], since: datetime) -> Sighting | None:
    doubtful: list[str] = []
    for row in rows:
        if row.provider_id in known or _is_before(row, since) or not _same_model(order.endpoint, row):
            continue
        if row.data_removed and not row.inputs:
            doubtful.append(row.provider_id)
        elif covers(row.inputs, order.inputs):
            return row
    if doubtful:
        raise ProviderUnavailable(
            f"replicate has removed the inputs of {doubtful[0]}, which may be this order",
            provider="replicate",
            status=None,
            may_be=doubtful,
        )
    return None


def _is_before(row: Sighting, since: datetime) -> bool:
    return row.created_at is not None and row.created_at < since


def _same_model(endpoint: str, sighting: Sighting) -> bool:
    model, _, version = endpoint.partition(":")
    return sighting.model == model and (not version or sighting.model_version == version)
