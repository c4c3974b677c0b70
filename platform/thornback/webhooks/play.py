"""Webhooks to be sent to a server of our own: bodies from samples or a file, signed with the configured secret."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from thornback.errors import InvalidInput
from thornback.settings import Settings
from thornback.webhooks.keys import fetch_secret
from thornback.webhooks.samples import SampleTraining, fal_success
from thornback.webhooks.sign import read_signing_key, sign_fal, sign_replicate
from thornback.webhooks.signatures import parse_secrets

# Signs a body at a time in seconds since 1970.
Signer = Callable[[bytes, int], Mapping[str, str]]

_ID_CHARS = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_LENGTH = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One webhook: its bytes, and what a person wants to know of them."""

    body: bytes
    provider_id: str
    status: str


def sample_steps(provider: str, *, lifecycle: bool, id: str | None, now: datetime) -> list[Step]:
    """A training that succeeds: its last webhook, or all from the first; fal only sends the last."""
    if provider == "fal":
        return [_step(_bytes(fal_success(id or str(uuid.uuid4()))))]
    training = SampleTraining(id=id or _new_id(), output=str(uuid.uuid4()), ended_at=now)
    return [_step(_bytes(body)) for body in (training.lifecycle() if lifecycle else [training.success()])]


def file_steps(path: Path) -> list[Step]:
    """One body, byte for byte as it stands in the file, or each of a list. Raises InvalidInput."""
    try:
        content = path.read_bytes()
        document = orjson.loads(content)
    except OSError as error:
        raise InvalidInput.field("file", f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError:
        return [_step(content)]  # what the server makes of a damaged body may be what is to be seen
    if not isinstance(document, list):
        return [_step(content)]
    return [_step(_bytes(body)) for body in document]


def signer_of(settings: Settings, provider: str, key: Path | None) -> Signer:
    """Sign as the provider does, with what the server checks against.

    Raises:
        InvalidInput: there is nothing to sign with; says what to set.
        KeysAway: Replicate was asked for its secret and did not answer.
    """
    if provider == "fal":
        return _fal_signer(key)
    known: Sequence[bytes] = parse_secrets(settings.replicate_webhook_secrets)
    if not known and settings.replicate_api_token:
        known = asyncio.run(fetch_secret(settings.replicate_url, settings.replicate_api_token))
    if not known:
        reason = "set THORNBACK_REPLICATE_WEBHOOK_SECRETS here and on the server, or REPLICATE_API_TOKEN"
        raise InvalidInput.field("secret", f"there is none to sign with: {reason}")
    return lambda body, timestamp: sign_replicate(body, known[0], timestamp=timestamp)


def _fal_signer(path: Path | None) -> Signer:
    if path is None:
        raise InvalidInput.field(
            "key",
            "fal signs with a private key that only fal has; give --key with one of your own, "
            "and let THORNBACK_FAL_JWKS_URL of the server name a key set with its public half",
        )
    key = read_signing_key(path)
    return lambda body, timestamp: sign_fal(body, key, request_id=_step(body).provider_id or "?", timestamp=timestamp)


def _step(body: bytes) -> Step:
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    said = document if isinstance(document, dict) else {}
    id = said.get("id", said.get("request_id"))
    return Step(body=body, provider_id=str(id or ""), status=str(said.get("status", "")))


def _bytes(document: Any) -> bytes:
    return orjson.dumps(document)


def _new_id() -> str:
    return "".join(secrets.choice(_ID_CHARS) for _ in range(_ID_LENGTH))
