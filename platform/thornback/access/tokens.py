"""Secrets that stand for a person: API keys and sessions.

A token is `<kind>_<id>_<secret>`. The id is public and finds the row; of the secret only a digest is kept. It has
256 random bits, so a plain SHA-256 is enough: there is nothing to guess, and each request can afford it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

KEY, SESSION = "tbk", "tbs"

_ID_BYTES, _SECRET_BYTES = 8, 32
_TOKEN = re.compile(r"^(tbk|tbs)_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as its holder has it."""

    kind: str
    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """What is sent in a header or a cookie."""
        return f"{self.kind}_{self.id}_{self.secret}"

    @property
    def digest(self) -> str:
        """What is kept of the secret: hex."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """True where `digest` was made of the same secret."""
        return hmac.compare_digest(self.digest, digest)


def new_token(kind: str) -> Token:
    """A token that nobody has yet."""
    return Token(kind=kind, id=secrets.token_hex(_ID_BYTES), secret=secrets.token_urlsafe(_SECRET_BYTES))


def read_token(text: str) -> Token | None:
    """The parts of a token; None for a text that is none."""
    found = _TOKEN.match(text)
    return None if found is None else Token(kind=found[1], id=found[2], secret=found[3])
