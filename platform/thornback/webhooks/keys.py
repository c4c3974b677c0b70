"""Keys that are asked of their owner: kept in memory, fetched again when they are old or no longer fit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from thornback.errors import InvalidInput, Unavailable
from thornback.log import get_logger
from thornback.webhooks.signatures import parse_jwks, parse_secret

K = TypeVar("K")

MAX_AGE_S = 24 * 3600.0  # fal's own word for its keys
RENEW_S = 12 * 3600.0  # from here on a fetch that fails is no harm yet
REFRESH_S = 120.0  # a forged webhook must not make us call the provider each time
RETRY_S = 5.0  # after a fetch that failed
FETCH_S = 5.0  # a provider waits for our answer for some 15 s

_log = get_logger("webhooks")


class KeysAway(Unavailable):
    """Whether a webhook is genuine cannot be said now, because its keys cannot be had; the sender should come back."""


class KeyRing(Generic[K]):
    """Keys of one provider. One event loop uses it; `clock` is in seconds and never goes back."""

    def __init__(self, fetch: Callable[[], Awaitable[Sequence[K]]], *, clock: Callable[[], float]) -> None:
        """`fetch` raises KeysAway."""
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[K, ...] = ()
        self._fetched_at: float | None = None
        self._failed: tuple[float, KeysAway] | None = None
        self._fetching = asyncio.Lock()

    async def keys(self) -> tuple[K, ...]:
        """Keys no older than MAX_AGE_S. Raises KeysAway."""
        age = self._age()
        if age < RENEW_S:
            return self._keys
        async with self._fetching:
            if self._age() >= RENEW_S:  # else another call has fetched them meanwhile
                try:
                    await self._renew()
                except KeysAway:
                    if self._age() >= MAX_AGE_S:
                        raise
        return self._keys

    async def newer(self) -> tuple[K, ...] | None:
        """Keys fetched again because none fitted; None where that was done a moment ago. Raises KeysAway."""
        async with self._fetching:
            if self._age() < REFRESH_S:
                return None
            await self._renew()
        return self._keys

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    async def _renew(self) -> None:
        if self._failed is not None and self._clock() - self._failed[0] < RETRY_S:
            raise KeysAway(self._failed[1].message)
        try:
            self._keys = tuple(await self._fetch())
        except KeysAway as error:
            self._failed = (self._clock(), error)
            _log.warning("keys of webhooks cannot be had", problem=error.message)
            raise
        self._fetched_at = self._clock()
        self._failed = None


async def fetch_jwks(url: str) -> tuple[Ed25519PublicKey, ...]:
    """Public keys of fal. Raises KeysAway."""
    keys = parse_jwks(await _get_json(url, {}))
    if not keys:
        raise KeysAway(f"{url} has no Ed25519 key; THORNBACK_FAL_JWKS_URL must name fal's key set")
    return keys


async def fetch_secret(base_url: str, token: str) -> tuple[bytes, ...]:
    """The secret with which Replicate signs for the owner of `token`. Raises KeysAway."""
    url = f"{base_url.rstrip('/')}/v1/webhooks/default/secret"
    document = await _get_json(url, {"Authorization": f"Bearer {token}"})
    key = document.get("key") if isinstance(document, dict) else None
    try:
        return (parse_secret(key if isinstance(key, str) else ""),)
    except InvalidInput:
        raise KeysAway(f"{url} answered without a secret; set THORNBACK_REPLICATE_WEBHOOK_SECRETS") from None


async def _get_json(url: str, headers: dict[str, str]) -> object:
    # `trust_env` stays on: a cluster may reach the providers through a proxy only.
    try:
        async with httpx.AsyncClient(timeout=FETCH_S, headers=headers) as client, asyncio.timeout(FETCH_S):
            answer = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise KeysAway(f"{url} does not answer: {type(error).__name__} {error}".rstrip()) from error
    if answer.status_code != httpx.codes.OK:
        raise KeysAway(f"{url} answered {answer.status_code}; check the token or set the secret itself")
    try:
        document: object = answer.json()
    except ValueError as error:
        raise KeysAway(f"{url} did not answer with JSON") from error
    return document
