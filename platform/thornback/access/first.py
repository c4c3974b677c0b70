"""The first admin, and one for those who have lost the last key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from thornback.access.changes import AddKey, AddUser, Change, ChangeUser, check_name
from thornback.access.roles import Role
from thornback.access.tokens import KEY, new_token
from thornback.errors import Conflict

FIRST_NAME = "admin"

Administer = Callable[[Change], Awaitable[bool]]


async def make_first_admin(administer: Administer, *, at: datetime) -> str | None:
    """The key of a new admin where there are no users yet; None where there are."""
    first = AddUser(name=FIRST_NAME, role=Role.ADMIN, password_hash=None, at=at, first_only=True)
    return await _add_key(administer, FIRST_NAME, label="first start", at=at) if await administer(first) else None


async def recover_admin(administer: Administer, *, name: str, at: datetime) -> str:
    """A new key of an active admin of this name, who is made where there is none. Raises InvalidInput."""
    name = check_name(name)
    try:
        await administer(AddUser(name=name, role=Role.ADMIN, password_hash=None, at=at))
    except Conflict:
        await administer(ChangeUser(name=name, role=Role.ADMIN, is_active=True, at=at))
    return await _add_key(administer, name, label="recovered", at=at)


async def _add_key(administer: Administer, user: str, *, label: str, at: datetime) -> str:
    token = new_token(KEY)
    key = AddKey(id=token.id, user=user, digest=token.digest, label=label, role=None, at=at, expires_at=None)
    await administer(key)
    return token.text
