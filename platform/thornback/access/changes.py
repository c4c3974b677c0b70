"""Users, keys and sessions as they are kept, and the changes that can be made to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from thornback.access.roles import Role
from thornback.errors import InvalidInput

_NAME = re.compile(r"^[a-z0-9][a-z0-9._@+-]{0,99}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can sign in."""

    name: str
    role: Role
    is_active: bool
    has_password: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without its secret."""

    id: str
    user: str
    label: str
    role: Role | None  # a key can be for less than its user may; None: for all of it
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None  # to the minute


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUser:
    """Raises Conflict where the name is taken."""

    name: str
    role: Role
    password_hash: str | None
    at: datetime
    first_only: bool = False  # only where there are no users yet; nothing happens otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeUser:
    """What is None stays. Raises NotFound, and Conflict where no active admin would be left."""

    name: str
    role: Role | None = None
    is_active: bool | None = None
    password_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddKey:
    """Raises NotFound for an unknown user."""

    id: str
    user: str
    digest: str
    label: str
    role: Role | None
    at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey:
    """Raises NotFound; a key that was revoked stays so."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """Raises NotFound for an unknown user. Sessions that have ended are removed."""

    id: str
    user: str
    digest: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSession:
    """An unknown one is no error."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsed:
    """Unknown keys are no error."""

    id: str
    at: datetime


Change = AddUser | ChangeUser | AddKey | RevokeKey | OpenSession | CloseSession | KeyUsed


def check_name(name: str) -> str:
    """A name as it is kept. Raises InvalidInput."""
    name = name.strip().lower()
    if not _NAME.match(name):
        raise InvalidInput.field(
            "name", "must have 1 to 100 of a-z, 0-9 and . _ @ + -, and begin with a letter or a digit"
        )
    return name
