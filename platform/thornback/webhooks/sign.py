"""Sign a webhook as its provider does: for playing one against a server of our own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from thornback.errors import InvalidInput


def sign_replicate(body: bytes, secret: bytes, *, timestamp: int, delivery_id: str | None = None) -> Mapping[str, str]:
    """The headers of a Standard Webhook; each call is a delivery of its own unless `delivery_id` is given."""
    id = delivery_id or f"msg_{secrets.token_urlsafe(18)}"
    digest = hmac.digest(secret, f"{id}.{timestamp}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def sign_fal(
    body: bytes, key: Ed25519PrivateKey, *, request_id: str, timestamp: int, user_id: str = "replayed"
) -> Mapping[str, str]:
    """The headers of one of fal's webhooks."""
    lines = (request_id, user_id, str(timestamp), hashlib.sha256(body).hexdigest())
    return {
        "x-fal-webhook-request-id": request_id,
        "x-fal-webhook-user-id": user_id,
        "x-fal-webhook-timestamp": str(timestamp),
        "x-fal-webhook-signature": key.sign("\n".join(lines).encode()).hex(),
    }


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 key from a PEM file without a password. Raises InvalidInput."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput.field("key", f"{path} cannot be used: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput.field("key", f"{path} holds another kind of key than Ed25519")
    return key
