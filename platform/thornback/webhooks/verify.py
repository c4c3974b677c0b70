"""The check of one provider's webhooks: headers, age, signature, in the order of what they cost."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from thornback.errors import InvalidInput, SignatureInvalid
from thornback.settings import Settings
from thornback.webhooks.keys import KeyRing, fetch_jwks, fetch_secret
from thornback.webhooks.signatures import (
    Envelope,
    check_age,
    fal_envelope,
    is_signed_with_key,
    is_signed_with_secret,
    parse_secrets,
    replicate_envelope,
)

K = TypeVar("K")

_UNSIGNABLE = (
    "this server has no secret to check Replicate's webhooks with: "
    "set THORNBACK_REPLICATE_WEBHOOK_SECRETS, or REPLICATE_API_TOKEN to have it asked of Replicate"
)
_NO_FAL = "this server is not set up for fal, so nothing is taken from there: set FAL_KEY"


class Verifier(Protocol):
    """Knows a genuine webhook."""

    async def verify(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Envelope:
        """What the headers say, now known to be true.

        Args:
            headers: by lower-case name.
            body: as it came.
            now: this instant.

        Raises:
            SignatureInvalid: unsigned, altered, too old, or signed by somebody else.
            KeysAway: that cannot be said now.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RingVerifier(Generic[K]):
    """Checks with the keys of a ring, and once more with newer ones where none fits."""

    ring: KeyRing[K]
    read: Callable[[Mapping[str, str], bytes], Envelope]
    fits: Callable[[Envelope, Sequence[K]], bool]
    tolerance_s: float

    async def verify(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Envelope:
        """See Verifier."""
        envelope = self.read(headers, body)
        check_age(envelope, now=now.timestamp(), tolerance_s=self.tolerance_s)
        if not envelope.signatures:
            raise SignatureInvalid("the webhook carries no signature of a kind that is known here")
        if self.fits(envelope, await self.ring.keys()):
            return envelope
        newer = await self.ring.newer()
        if newer is not None and self.fits(envelope, newer):
            return envelope
        raise SignatureInvalid("the webhook was altered on its way or signed with another key")


@dataclass(frozen=True, slots=True)
class Refuser:
    """Stands where nothing is configured: whatever comes is refused, with what to set."""

    reason: str

    async def verify(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Envelope:
        """Raises SignatureInvalid."""
        raise SignatureInvalid(self.reason)


def replicate_verifier(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> Verifier:
    """The configured secrets, else the one that Replicate names."""
    try:
        secrets = parse_secrets(settings.replicate_webhook_secrets)
    except InvalidInput as error:
        return Refuser(f"this server can check no webhook of Replicate: {error.message}")
    token = settings.replicate_api_token
    if not secrets and not token:
        return Refuser(_UNSIGNABLE)

    async def fetch() -> tuple[bytes, ...]:
        return secrets or await fetch_secret(settings.replicate_url, token or "")

    return _verifier(replicate_envelope, is_signed_with_secret, fetch, settings, clock)


def fal_verifier(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> Verifier:
    """The keys that fal publishes.

    They sign for every customer of fal, so that a good signature says who carried the message and not whose
    request it is about: an unknown request changes nothing.
    """
    default: Any = Settings.model_fields["fal_jwks_url"].default
    if settings.fal_key is None and settings.fal_jwks_url == default:
        return Refuser(_NO_FAL)

    async def fetch() -> tuple[Ed25519PublicKey, ...]:
        return await fetch_jwks(settings.fal_jwks_url)

    return _verifier(fal_envelope, is_signed_with_key, fetch, settings, clock)


def _verifier(
    read: Callable[[Mapping[str, str], bytes], Envelope],
    fits: Callable[[Envelope, Sequence[K]], bool],
    fetch: Callable[[], Awaitable[Sequence[K]]],
    settings: Settings,
    clock: Callable[[], float],
) -> RingVerifier[K]:
    ring = KeyRing(fetch, clock=clock)
    return RingVerifier(ring=ring, read=read, fits=fits, tolerance_s=settings.webhook_tolerance_s)
