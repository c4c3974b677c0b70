"""Accounts at OpenID providers, and the states of sign-ins there that came back."""

from __future__ import annotations

import sqlalchemy as sa

from thornback.access.changes import LinkAccount, UseState
from thornback.errors import Conflict, NotFound
from thornback.store.admit import clean_text
from thornback.store.tables_access import OidcAccount, UsedState, UserRow

_accounts = OidcAccount.__table__  # type: ignore[attr-defined]
_states = UsedState.__table__  # type: ignore[attr-defined]
_users = UserRow.__table__  # type: ignore[attr-defined]


def read_account(connection: sa.Connection, issuer: str, subject: str) -> str | None:
    """The name of the user that an account stands for, None where it is not linked."""
    mine = (_accounts.c.issuer == clean_text(issuer), _accounts.c.subject == clean_text(subject))
    name: str | None = connection.execute(sa.select(_accounts.c.user).where(*mine)).scalar_one_or_none()
    return name


def link_account(change: LinkAccount, connection: sa.Connection) -> bool:
    """See LinkAccount."""
    linked = read_account(connection, change.issuer, change.subject)
    if linked is not None:
        if linked != change.user:
            raise Conflict("this account belongs to another user")
        return False
    if connection.execute(sa.select(_users.c.name).where(_users.c.name == change.user)).first() is None:
        raise NotFound(f"there is no user {change.user!r}")
    row = {"issuer": change.issuer, "subject": change.subject, "user": change.user, "linked_at": change.at}
    email = None if change.email is None else clean_text(change.email)[:255]
    connection.execute(sa.insert(_accounts).values(row | {"email": email}))
    return True


def use_state(change: UseState, connection: sa.Connection) -> bool:
    """See UseState."""
    connection.execute(sa.delete(_states).where(_states.c.expires_at < change.at))
    if connection.execute(sa.select(_states.c.digest).where(_states.c.digest == change.digest)).first() is not None:
        return False
    connection.execute(sa.insert(_states).values(digest=change.digest, expires_at=change.expires_at))
    return True
