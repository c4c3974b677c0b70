"""Ids as the providers make them."""

from __future__ import annotations

import secrets
import uuid

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def replicate_id() -> str:
    """26 letters and digits, of a training or a prediction."""
    return "".join(secrets.choice(_LETTERS) for _ in range(26))


def version_id() -> str:
    """64 hexadecimal digits, of a version of a model."""
    return secrets.token_hex(32)


def request_id() -> str:
    """A UUID, of a request to fal."""
    return str(uuid.uuid4())


def file_token() -> str:
    """The part of a file's address that nobody can guess."""
    return secrets.token_urlsafe(24)
