"""Users, keys and sessions as they are kept, and the changes that can be made to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from thornback.access.audit import Act
from thornback.access.roles import Role
from thornback.access.scopes import Limits
from thornback.by_name import ByName
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
    teams: tuple[str, ...] = ()  # their ids, sorted


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Users who share jobs."""

    id: str
    name: str
    created_at: datetime
    members: tuple[str, ...]  # sorted


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without its secret."""

    id: str
    user: str
    label: str
    role: Role | None  # a key can be for less than its user may; None: for all of it
    limits: Limits | None = None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None  # to the minute


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUser(ByName):
    """Raises Conflict where the name is taken."""

    name: str
    role: Role
    password_hash: str | None
    at: datetime
    first_only: bool = False  # only where there are no users yet; nothing happens otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeUser(ByName):
    """What is None stays. Raises NotFound, and Conflict where no active admin would be left."""

    name: str
    role: Role | None = None
    is_active: bool | None = None
    password_hash: str | None = None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AddKey(ByName):
    """Raises NotFound for an unknown user."""

    id: str
    user: str
    digest: str
    label: str
    role: Role | None
    limits: Limits | None = None
    at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey(ByName):
    """Raises NotFound; a key that was revoked stays so."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession(ByName):
    """Raises NotFound for an unknown user. Sessions that have ended are removed."""

    id: str
    user: str
    digest: str
    at: datetime
    expires_at: datetime
    origin: Mapping[str, str] = field(default_factory=dict)  # how and from where; for the audit log


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSession(ByName):
    """An unknown one is no error."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsed(ByName):
    """Unknown keys are no error."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTeam(ByName):
    """Raises Conflict where there is one of this id, or where there are jobs of an earlier one."""

    id: str
    name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTeam(ByName):
    """Its jobs stay, for their owners and admins. Raises NotFound."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMember(ByName):
    """Raises NotFound for an unknown team or user."""

    team: str
    user: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMember(ByName):
    """Raises NotFound for an unknown team; who is no member is no error."""

    team: str
    user: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAccount(ByName):
    """Let an account at an OpenID provider stand for a user; one that stands for somebody already stays so.

    Raises NotFound for an unknown user, Conflict where the account is somebody else's.
    """

    issuer: str
    subject: str
    user: str
    email: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UseState(ByName):
    """Take the `state` of a sign-in; False where it was taken before. Those that have ended are removed."""

    digest: str
    at: datetime
    expires_at: datetime


Change = (
    Act
    | AddUser
    | ChangeUser
    | AddKey
    | RevokeKey
    | OpenSession
    | CloseSession
    | KeyUsed
    | AddTeam
    | RemoveTeam
    | AddMember
    | RemoveMember
    | LinkAccount
    | UseState
)


def check_name(name: str, *, field: str = "name") -> str:
    """The name of a user or the id of a team as it is kept. Raises InvalidInput."""
    name = name.strip().lower()
    if not _NAME.match(name):
        raise InvalidInput.field(
            field, "must have 1 to 100 of a-z, 0-9 and . _ @ + -, and begin with a letter or a digit"
        )
    return name
