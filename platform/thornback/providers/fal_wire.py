"""fal's official client on our transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import httpx
from fal_client.auth import AuthCredentials
from fal_client.client import (
    QUEUE_URL_FORMAT,
    USER_AGENT,
    AsyncBackupDomainTransport,
    AsyncCDNTokenManager,
    AsyncClient,
    AsyncRequestHandle,
    CDNToken,
)

from thornback.net.client import GuardedTransport
from thornback.providers.wire import LIMITS, Wire

Value = TypeVar("Value")


class FalClient(AsyncClient):
    """The official client; every request of it, uploads too, goes through our Wire and where `base` says.

    The client has no setting for either: it makes its HTTP clients in private properties, which are replaced
    here, and its hosts are constants.
    """

    def __init__(self, key: str, *, base: str | None = None) -> None:
        super().__init__(key=key)
        self._base = base
        inner = None if base else AsyncBackupDomainTransport(transport=httpx.AsyncHTTPTransport(limits=LIMITS))
        credentials = AuthCredentials("Key", key)
        self._http = self._make(inner, Authorization=credentials.header_value)
        self._tokens = _Tokens(credentials, self)

    def queue_url(self, endpoint: str) -> str:
        """Where an order goes: the whole application, with what comes after its second part."""
        return QUEUE_URL_FORMAT + endpoint

    def request_urls(self, endpoint: str, request_id: str) -> tuple[str, str, str]:
        """Where a request's status, result and cancel are: its application's first two parts alone."""
        handle = AsyncRequestHandle.from_request_id(self._http, endpoint, request_id)
        return handle.status_url, handle.response_url, handle.cancel_url

    async def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """One request with the client's headers."""
        return await self._http.request(method, url, **kwargs)

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    @property
    def _client(self) -> Coroutine[Any, Any, httpx.AsyncClient]:
        return self._give(self._http)

    @property
    def _token_manager(self) -> Coroutine[Any, Any, AsyncCDNTokenManager]:
        return self._give(self._tokens)

    @asynccontextmanager
    async def _cdn_client(self) -> AsyncIterator[httpx.AsyncClient]:
        # Where an upload goes is what fal answered, which is no setting of the operator's.
        async with self._make(None if self._base else GuardedTransport()) as client:
            yield client

    def _make(self, inner: httpx.AsyncBaseTransport | None = None, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=Wire(inner, base=self._base), headers={"User-Agent": USER_AGENT, **headers})

    @staticmethod
    async def _give(value: Value) -> Value:
        return value


class _Tokens(AsyncCDNTokenManager):
    """The client's token for uploads, asked for through the Wire."""

    def __init__(self, credentials: AuthCredentials, client: FalClient) -> None:
        super().__init__(credentials)
        self._client = client

    async def _refresh_token(self) -> CDNToken:
        response = await self._client.request("POST", self._url, headers=self._headers, json={})
        told = response.json()
        return CDNToken(
            token=told["token"],
            token_type=told["token_type"],
            base_upload_url=told["base_url"],
            expires_at=datetime.fromisoformat(told["expires_at"]),
        )
