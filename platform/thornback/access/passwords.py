"""Passwords: what is taken, and how one is kept (argon2id, the library's own parameters)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from thornback.errors import InvalidInput

LEAST, MOST = 10, 1000  # characters

_HASHER = PasswordHasher()
# Compared with where there is no such user, so that the answer takes as long.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$kBaI2JJaBC3Qd/AiHqnX2A$zUD25fxL+F6KQUNSmXjWk53AuyzBESKq9lvZKkCG/D4"


def hash_password(password: str) -> str:
    """What is kept of a password. Raises InvalidInput where it is too short or too long."""
    if not LEAST <= len(password) <= MOST:
        raise InvalidInput.field("password", f"must have {LEAST} to {MOST} characters")
    return _HASHER.hash(password)


def matches(password: str, kept: str | None) -> bool:
    """True where `kept` was made of this password; takes about as long where nothing is kept."""
    try:
        _HASHER.verify(kept or _NOBODY, password[:MOST])
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None
