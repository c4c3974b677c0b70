"""An OpenID provider as this server talks to it: discovery, the way there, and the exchange of the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ValidationError

from thornback.access.oidc import Flow, Identity, identity_of, read_id_token
from thornback.errors import NotSignedIn, SettingsError, Unavailable
from thornback.settings import Settings, is_loopback

TIMEOUT_S = 10.0
MOST_BYTES = 1 << 20
_DISCOVERY = "/.well-known/openid-configuration"


class _Provider(BaseModel):
    """What discovery says (OpenID Connect Discovery 1.0, 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None


@dataclass(slots=True)
class _Known:
    provider: _Provider
    keys: KeySet


class OpenId:
    """The provider of the settings. What it publishes is read once and again where a key is new."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport`: for tests."""
        if settings.oidc_issuer is None or settings.oidc_client_id is None:
            raise SettingsError("signing in at a provider is not set up: THORNBACK_OIDC_ISSUER and _CLIENT_ID")
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._client_secret = settings.oidc_client_secret
        self._transport = transport
        self._known: _Known | None = None

    async def way_there(self, flow: Flow, *, callback: str) -> str:
        """The provider's address where somebody signs in. Raises Unavailable."""
        known = await self._publishes()
        async with self._client(callback) as client:
            url, _ = client.create_authorization_url(
                known.provider.authorization_endpoint,
                state=flow.state,
                code_verifier=flow.verifier,
                nonce=flow.nonce,
                prompt="select_account",
            )
        return str(url)

    async def identity(self, code: str, flow: Flow, *, callback: str, now: datetime) -> Identity:
        """Who came back with a code.

        Raises:
            NotSignedIn: the provider does not take the code, or its answer cannot be believed.
            Unavailable: it does not answer.
        """
        known = await self._publishes()
        async with self._client(callback) as client:
            token = await self._exchange(client, known.provider, code, flow)
            claims = await self._claims(token, flow, now)
            if "email" not in claims and known.provider.userinfo_endpoint is not None:
                claims = {**claims, **await self._userinfo(client, known.provider.userinfo_endpoint, claims)}
        return identity_of(claims, issuer=self._issuer)

    def _client(self, callback: str) -> Any:
        return AsyncOAuth2Client(
            self._client_id,
            self._client_secret,
            scope="openid email",
            redirect_uri=callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._client_secret else "none",
            timeout=TIMEOUT_S,
            transport=self._transport,
            follow_redirects=False,
            trust_env=False,
        )

    async def _exchange(self, client: Any, provider: _Provider, code: str, flow: Flow) -> Mapping[str, Any]:
        try:
            token: Mapping[str, Any] = await client.fetch_token(
                provider.token_endpoint, code=code, code_verifier=flow.verifier
            )
        except (OAuthError, ValueError, KeyError) as error:
            raise NotSignedIn(f"the provider does not take this sign-in: {error}") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"the provider does not answer: {error!r}") from None
        if not isinstance(token.get("id_token"), str):
            raise NotSignedIn("the provider does not say who you are")
        return token

    async def _claims(self, token: Mapping[str, Any], flow: Flow, now: datetime) -> Mapping[str, Any]:
        """With keys that are read anew where these do not do: providers change theirs."""
        known = await self._publishes()
        try:
            return self._believe(token["id_token"], known.keys, flow, now)
        except NotSignedIn:
            known = await self._publishes(again=True)
            return self._believe(token["id_token"], known.keys, flow, now)

    def _believe(self, id_token: str, keys: KeySet, flow: Flow, now: datetime) -> Mapping[str, Any]:
        return read_id_token(id_token, keys, issuer=self._issuer, client_id=self._client_id, nonce=flow.nonce, now=now)

    async def _userinfo(self, client: Any, url: str, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer = await client.get(url)
            answer.raise_for_status()
            told = answer.json()
        except (httpx.HTTPError, OAuthError, ValueError) as error:
            raise Unavailable(f"the provider does not tell the e-mail address: {error!r}") from None
        if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
            raise NotSignedIn("the provider speaks of somebody else")  # OpenID Connect Core 1.0, 5.3.2
        return {name: told[name] for name in ("email", "email_verified", "hd") if name in told}

    async def _publishes(self, *, again: bool = False) -> _Known:
        if self._known is not None and not again:
            return self._known
        async with httpx.AsyncClient(transport=self._transport, timeout=TIMEOUT_S, trust_env=False) as client:
            try:
                provider = _Provider.model_validate(await _get(client, self._issuer.rstrip("/") + _DISCOVERY))
                for url in (provider.authorization_endpoint, provider.token_endpoint, provider.jwks_uri):
                    _check_scheme(url)
                keys = KeySet.import_key_set(await _get(client, provider.jwks_uri))
            except (httpx.HTTPError, ValidationError, JoseError, ValueError, KeyError, TypeError) as error:
                raise Unavailable(f"the OpenID provider {self._issuer} cannot be asked: {error}") from None
        if provider.issuer != self._issuer:
            raise Unavailable(f"{self._issuer} says that it is {provider.issuer}; set THORNBACK_OIDC_ISSUER to that")
        self._known = _Known(provider, keys)
        return self._known


async def _get(client: httpx.AsyncClient, url: str) -> Any:
    _check_scheme(url)
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        content = b""
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MOST_BYTES:
                raise ValueError(f"{url} has more than {MOST_BYTES} bytes")
    return httpx.Response(200, content=content).json()


def _check_scheme(url: str) -> None:
    """Only on this machine may it go without TLS."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError(f"{url} is not https")
