"""Is a webhook from the provider that it says it is from? Pure: keys and the time are passed in.

Both schemes sign the bytes of the body as they came; whoever parses and writes them again breaks them.
`standardwebhooks` fixes the tolerance, refuses bodies that are no UTF-8 and fails on odd entries, so it
serves the tests as the other opinion and not this module.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from thornback.errors import InvalidInput, SignatureInvalid

MAX_ENTRIES = 16  # signatures in one header, keys in one set: a check has a bounded cost
MAX_ID_CHARS = 255

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
_DIGITS = re.compile(r"^[0-9]{1,12}$")  # ASCII only; \d takes every script's digits
_HEX_SIGNATURE = re.compile(r"^[0-9a-fA-F]{128}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the headers of a webhook say, before anything about them is known to be true."""

    id: str  # of the delivery, the same when it is sent again
    subject: str | None = None  # fal: the request that it is about, which the body names as well
    timestamp: int  # seconds since 1970
    signed: bytes  # what the signature is over
    signatures: tuple[bytes, ...]


def replicate_envelope(headers: Mapping[str, str], body: bytes) -> Envelope:
    """Standard Webhooks: `{id}.{timestamp}.{body}`, entries `v1,<base64>` with spaces between.

    Raises SignatureInvalid where a header is missing or cannot be read.
    """
    id, timestamp = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
    entries = _header(headers, "webhook-signature", most=4096).split(" ")[:MAX_ENTRIES]
    found = (_base64(entry.removeprefix("v1,")) for entry in entries if entry.startswith("v1,"))
    return Envelope(
        id=id,
        timestamp=_seconds(timestamp, "webhook-timestamp"),
        signed=f"{id}.{timestamp}.".encode() + body,
        signatures=tuple(signature for signature in found if signature is not None),
    )


def fal_envelope(headers: Mapping[str, str], body: bytes) -> Envelope:
    """fal: request id, user id, timestamp and the body's SHA-256 in hex on a line each, ED25519, hex.

    Raises SignatureInvalid where a header is missing or cannot be read.
    """
    id, user = _header(headers, "x-fal-webhook-request-id", most=200), _header(headers, "x-fal-webhook-user-id")
    timestamp = _header(headers, "x-fal-webhook-timestamp")
    signature = _header(headers, "x-fal-webhook-signature")
    digest = hashlib.sha256(body).hexdigest()
    lines = (id, user, timestamp, digest)
    return Envelope(
        id=f"{id}:{digest[:16]}",  # fal gives its deliveries no id
        subject=id,
        timestamp=_seconds(timestamp, "x-fal-webhook-timestamp"),
        signed="\n".join(lines).encode(),
        signatures=(bytes.fromhex(signature),) if _HEX_SIGNATURE.match(signature) else (),
    )


def check_age(envelope: Envelope, *, now: float, tolerance_s: float) -> None:
    """Raises SignatureInvalid for a time stamp too far in the past or in the future."""
    age = now - envelope.timestamp
    if abs(age) > tolerance_s:
        when = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead of our clock"
        raise SignatureInvalid(f"the webhook is {when}; {tolerance_s:g} s are allowed")


def is_signed_with_secret(envelope: Envelope, secrets: Iterable[bytes]) -> bool:
    """HMAC-SHA256 with any of the secrets; compared in constant time, and all of them whatever matches."""
    good = False
    for secret in secrets:
        # not hmac.digest: it gives the interpreter away even for a few bytes, and may wait for it to come back
        expected = hmac.new(secret, envelope.signed, hashlib.sha256).digest()
        for signature in envelope.signatures:
            good |= hmac.compare_digest(expected, signature)
    return good


def is_signed_with_key(envelope: Envelope, keys: Sequence[Ed25519PublicKey]) -> bool:
    """ED25519 with any of the keys."""
    return any(_verifies(key, signature, envelope.signed) for signature in envelope.signatures for key in keys)


def parse_secret(text: str) -> bytes:
    """The bytes of a `whsec_…`. Raises InvalidInput without naming the secret."""
    text = text.strip().removeprefix(_SECRET_PREFIX)
    secret = _base64(text + "=" * (-len(text) % 4))
    if not secret:
        raise InvalidInput.field("THORNBACK_REPLICATE_WEBHOOK_SECRETS", "each must be whsec_ and base64 after it")
    return secret


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """Several with commas. Raises InvalidInput."""
    return tuple(parse_secret(part) for part in text.split(",") if part.strip())


def parse_jwks(document: Any) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys of a JSON Web Key Set (RFC 8037); other keys in it are passed over."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return ()
    keys = (_public_key(key) for key in listed[:MAX_ENTRIES] if isinstance(key, dict))
    return tuple(key for key in keys if key is not None)


def _public_key(key: Mapping[str, Any]) -> Ed25519PublicKey | None:
    x = key.get("x")
    if (key.get("kty"), key.get("crv")) != ("OKP", "Ed25519") or not isinstance(x, str):
        return None
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)))
    except ValueError:
        return None


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _header(headers: Mapping[str, str], name: str, *, most: int = MAX_ID_CHARS) -> str:
    value = headers.get(name, "")
    if not value:
        raise SignatureInvalid(f"the webhook is not signed: header {name} is missing")
    if len(value) > most or not value.isprintable():
        raise SignatureInvalid(f"header {name} cannot be read")
    return value


def _seconds(text: str, name: str) -> int:
    if not _DIGITS.match(text):
        raise SignatureInvalid(f"header {name} must be whole seconds since 1970")
    return int(text)


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
