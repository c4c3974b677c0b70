"""Users, API keys and sessions: what is read, and what the writer does to them inside its transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import singledispatch
from typing import Any

import sqlalchemy as sa

from thornback.access.audit import Act, AuditEntry, Head, Verdict, verify
from thornback.access.changes import (
    AddKey,
    AddUser,
    Change,
    ChangeUser,
    CloseSession,
    Key,
    KeyUsed,
    OpenSession,
    RevokeKey,
    Team,
    User,
)
from thornback.access.roles import Role
from thornback.access.scopes import Limits
from thornback.errors import Conflict, NotFound
from thornback.store.accounts import link_account, read_account, use_state
from thornback.store.admit import clean_text
from thornback.store.audit import read_head, read_log, read_whole_log
from thornback.store.guard import store_errors
from thornback.store.tables_access import ApiKeyRow, SessionRow, UserRow
from thornback.store.teams import (
    add_member,
    add_team,
    read_memberships,
    read_teams,
    read_teams_of,
    remove_member,
    remove_team,
)

_users = UserRow.__table__  # type: ignore[attr-defined]
_keys = ApiKeyRow.__table__  # type: ignore[attr-defined]
_sessions = SessionRow.__table__  # type: ignore[attr-defined]


class AccessReader:
    """Safe to use from many threads. Every method raises StoreUnavailable where the database does not answer."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def users(self) -> list[User]:
        """All, by name."""
        with self._connected() as connection:
            teams = read_memberships(connection)
            rows = connection.execute(sa.select(_users).order_by(_users.c.name))
            return [_user(row, teams.get(row.name, ())) for row in rows]

    def user(self, name: str) -> tuple[User, str | None] | None:
        """A user and what is kept of the password; None where there is no such user."""
        with self._connected() as connection:
            return _find_user(connection, name)

    def keys(self, user: str | None = None) -> list[Key]:
        """Of a user or of all, the newest first; revoked ones too."""
        statement = sa.select(_keys).order_by(_keys.c.created_at.desc(), _keys.c.id)
        if user is not None:
            statement = statement.where(_keys.c.user == clean_text(user))
        with self._connected() as connection:
            return [_key(row) for row in connection.execute(statement)]

    def key(self, id: str) -> tuple[Key, str, User] | None:
        """A key, its digest and its user; None where there is no such key."""
        with self._connected() as connection:
            row = connection.execute(sa.select(_keys).where(_keys.c.id == clean_text(id))).first()
            found = None if row is None else _find_user(connection, row.user)
        return None if row is None or found is None else (_key(row), row.digest, found[0])

    def session(self, id: str) -> tuple[str, datetime, User] | None:
        """The digest of a session, when it ends, and its user; None where there is no such session."""
        with self._connected() as connection:
            row = connection.execute(sa.select(_sessions).where(_sessions.c.id == clean_text(id))).first()
            found = None if row is None else _find_user(connection, row.user)
        return None if row is None or found is None else (row.digest, row.expires_at, found[0])

    def account(self, issuer: str, subject: str) -> User | None:
        """The user that an account at an OpenID provider stands for; None where it is not linked."""
        with self._connected() as connection:
            name = read_account(connection, issuer, subject)
            found = None if name is None else _find_user(connection, name)
        return None if found is None else found[0]

    def teams(self) -> list[Team]:
        """All, by id."""
        with self._connected() as connection:
            return read_teams(connection)

    def audit(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[AuditEntry]:
        """Entries of the audit log by their number, see `store.audit.read_log`."""
        with self._connected() as connection:
            return read_log(
                connection,
                after=after,
                before=before,
                actor=actor,
                action=action,
                target=target,
                limit=limit,
                newest_first=newest_first,
            )

    def verify_audit(self, newest: Head | None = None) -> Verdict:
        """Look at every entry; the log has to reach as far as was noted, and to hold `newest` where it is given."""
        with self._connected() as connection:
            noted = read_head(connection)
            verdict = verify(read_whole_log(connection), newest=noted)
            if verdict.problem is None and newest is not None:
                verdict = verify(read_whole_log(connection), newest=newest)
            return verdict

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with store_errors(), self._engine.connect() as connection:
            yield connection


@singledispatch
def carry_out(change: Change, connection: sa.Connection) -> bool:
    """Make a change; False where there was nothing to do. Raises what the change's class says."""
    raise TypeError(f"{type(change).__name__} is no change")  # pragma: no cover - the types forbid it


@carry_out.register
def _add_user(change: AddUser, connection: sa.Connection) -> bool:
    if change.first_only and connection.execute(sa.select(_users.c.name).limit(1)).first() is not None:
        return False
    found = _find_user(connection, change.name)
    if found is not None:
        # The same call again, because its answer was lost, is no conflict.
        if (found[0].created_at, found[1]) == (change.at, change.password_hash):
            return True
        raise Conflict(f"there is a user {change.name!r} already")
    row = {"name": change.name, "role": change.role.value, "is_active": True, "created_at": change.at}
    connection.execute(sa.insert(_users).values(row | {"password_hash": change.password_hash}))
    return True


@carry_out.register
def _change_user(change: ChangeUser, connection: sa.Connection) -> bool:
    _must_exist(connection, change.name)
    wanted: dict[str, Any] = {
        "role": None if change.role is None else change.role.value,
        "is_active": change.is_active,
        "password_hash": change.password_hash,
    }
    values = {name: value for name, value in wanted.items() if value is not None}
    if not values:
        return False
    connection.execute(sa.update(_users).where(_users.c.name == change.name).values(values))
    admins = sa.select(_users.c.name).where(_users.c.role == Role.ADMIN.value, _users.c.is_active)
    if connection.execute(admins.limit(1)).first() is None:
        raise Conflict("no active admin would be left; make somebody else an admin first")
    if change.password_hash is not None or change.is_active is False:
        connection.execute(sa.delete(_sessions).where(_sessions.c.user == change.name))
    return True


@carry_out.register
def _add_key(change: AddKey, connection: sa.Connection) -> bool:
    _must_exist(connection, change.user)
    if _is_there(connection, _keys, change.id):
        return True
    row = {
        "id": change.id,
        "user": change.user,
        "digest": change.digest,
        "label": clean_text(change.label)[:100],
        "role": None if change.role is None else change.role.value,
        "scopes": None if change.limits is None else change.limits.as_json(),
        "created_at": change.at,
        "expires_at": change.expires_at,
    }
    connection.execute(sa.insert(_keys).values(row))
    return True


@carry_out.register
def _revoke_key(change: RevokeKey, connection: sa.Connection) -> bool:
    row = connection.execute(sa.select(_keys.c.revoked_at).where(_keys.c.id == clean_text(change.id))).first()
    if row is None:
        raise NotFound(f"there is no key {change.id!r}")
    if row.revoked_at is None:
        connection.execute(sa.update(_keys).where(_keys.c.id == change.id).values(revoked_at=change.at))
    return row.revoked_at is None


@carry_out.register
def _open_session(change: OpenSession, connection: sa.Connection) -> bool:
    _must_exist(connection, change.user)
    connection.execute(sa.delete(_sessions).where(_sessions.c.expires_at < change.at))
    if _is_there(connection, _sessions, change.id):
        return True
    row = {
        "id": change.id,
        "user": change.user,
        "digest": change.digest,
        "created_at": change.at,
        "expires_at": change.expires_at,
    }
    connection.execute(sa.insert(_sessions).values(row))
    return True


@carry_out.register
def _close_session(change: CloseSession, connection: sa.Connection) -> bool:
    gone = connection.execute(sa.delete(_sessions).where(_sessions.c.id == clean_text(change.id)))
    return bool(gone.rowcount)


@carry_out.register
def _key_used(change: KeyUsed, connection: sa.Connection) -> bool:
    connection.execute(sa.update(_keys).where(_keys.c.id == clean_text(change.id)).values(used_at=change.at))
    return True


@carry_out.register
def _nothing_but_the_log(change: Act, connection: sa.Connection) -> bool:
    return True


for _change in (add_team, remove_team, add_member, remove_member, link_account, use_state):
    carry_out.register(_change)


def _find_user(connection: sa.Connection, name: str) -> tuple[User, str | None] | None:
    row = connection.execute(sa.select(_users).where(_users.c.name == clean_text(name))).first()
    return None if row is None else (_user(row, read_teams_of(connection, row.name)), row.password_hash)


def _must_exist(connection: sa.Connection, name: str) -> None:
    if _find_user(connection, name) is None:
        raise NotFound(f"there is no user {name!r}")


def _is_there(connection: sa.Connection, table: sa.Table, id: str) -> bool:
    """True where the same call came before: ids are random, and nobody else has this one."""
    return connection.execute(sa.select(table.c.id).where(table.c.id == id)).first() is not None


def _user(row: Any, teams: tuple[str, ...]) -> User:
    return User(
        name=row.name,
        role=Role(row.role),
        is_active=row.is_active,
        has_password=row.password_hash is not None,
        created_at=row.created_at,
        teams=teams,
    )


def _key(row: Any) -> Key:
    return Key(
        id=row.id,
        user=row.user,
        label=row.label,
        role=None if row.role is None else Role(row.role),
        limits=Limits.from_json(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
