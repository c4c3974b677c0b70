"""Signs webhooks as Replicate (Standard Webhooks) and fal (Ed25519) do."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook


def sign_replicate(secret: str, id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The three headers of a Standard Webhook."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, at, body.decode()),
    }


class FalKeys:
    """fal's pair of keys, and the set in which the public halves are published."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._next = Ed25519PrivateKey.generate()  # published ahead of its use, as in a rotation

    @property
    def jwks(self) -> Mapping[str, Any]:
        """The published set."""
        return {"keys": [_jwk(self._next, "sim-2"), _jwk(self._key, "sim-1")]}

    def sign(self, body: bytes, *, request_id: str, user_id: str, at: datetime) -> dict[str, str]:
        """The four headers."""
        timestamp = str(int(at.timestamp()))
        message = "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest()))
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": user_id,
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": self._key.sign(message.encode()).hex(),
        }


def real_now() -> datetime:
    """The receiver compares with its own clock, so signatures never use the simulator's."""
    return datetime.now(UTC)


def _jwk(key: Ed25519PrivateKey, kid: str) -> Mapping[str, str]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x}
