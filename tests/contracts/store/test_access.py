"""Users, keys and sessions in the database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contracts.store.conftest import NOW, Store
from thornback.access.changes import AddKey, AddUser, ChangeUser, CloseSession, KeyUsed, OpenSession, RevokeKey
from thornback.access.roles import Role
from thornback.access.tokens import KEY, SESSION, new_token
from thornback.errors import Conflict, NotFound
from thornback.store.access import AccessReader

LATER = NOW + timedelta(days=1)


@pytest.fixture
def access(store: Store) -> AccessReader:
    return AccessReader(store.reader.engine)


def add(store: Store, name: str, role: Role = Role.TRAINER, **more: bool) -> bool:
    return store.writer.administer(AddUser(name=name, role=role, password_hash=None, at=NOW, **more))


def test_users_are_added_once(store: Store, access: AccessReader) -> None:
    assert add(store, "ada", Role.ADMIN)
    assert add(store, "ada", Role.ADMIN)  # the same call again, whose answer was lost
    with pytest.raises(Conflict, match="'ada' already"):
        store.writer.administer(AddUser(name="ada", role=Role.VIEWER, password_hash=None, at=LATER))
    [user] = access.users()
    assert (user.name, user.role, user.is_active, user.has_password) == ("ada", Role.ADMIN, True, False)
    assert access.user("bob") is None


def test_the_first_user_is_the_first_only_once(store: Store, access: AccessReader) -> None:
    assert add(store, "admin", Role.ADMIN, first_only=True)
    assert not add(store, "another", Role.ADMIN, first_only=True)
    assert [user.name for user in access.users()] == ["admin"]


def test_an_admin_is_always_left(store: Store, access: AccessReader) -> None:
    add(store, "ada", Role.ADMIN)
    add(store, "bob")
    for change in (
        ChangeUser(name="ada", role=Role.VIEWER, at=LATER),
        ChangeUser(name="ada", is_active=False, at=LATER),
    ):
        with pytest.raises(Conflict, match="no active admin would be left"):
            store.writer.administer(change)
    assert access.users()[0].role is Role.ADMIN
    store.writer.administer(ChangeUser(name="bob", role=Role.ADMIN, at=LATER))
    assert store.writer.administer(ChangeUser(name="ada", role=Role.VIEWER, at=LATER))
    assert [user.role for user in access.users()] == [Role.VIEWER, Role.ADMIN]
    with pytest.raises(NotFound, match="'eve'"):
        store.writer.administer(ChangeUser(name="eve", is_active=False, at=LATER))


def test_keys(store: Store, access: AccessReader) -> None:
    add(store, "ada")
    token = new_token(KEY)
    key = AddKey(
        id=token.id, user="ada", digest=token.digest, label="laptop", role=Role.VIEWER, at=NOW, expires_at=LATER
    )
    assert store.writer.administer(key)
    assert store.writer.administer(key)
    found = access.key(token.id)
    assert found is not None
    assert token.matches(found[1])
    assert (found[0].label, found[0].role, found[0].expires_at, found[2].name) == ("laptop", Role.VIEWER, LATER, "ada")
    store.writer.administer(KeyUsed(id=token.id, at=LATER))
    assert store.writer.administer(RevokeKey(id=token.id, at=LATER))
    assert not store.writer.administer(RevokeKey(id=token.id, at=LATER + timedelta(days=1)))
    [kept] = access.keys("ada")
    assert (kept.revoked_at, kept.used_at) == (LATER, LATER)
    assert access.keys("bob") == []
    with pytest.raises(NotFound, match="no key"):
        store.writer.administer(RevokeKey(id="0" * 16, at=NOW))
    with pytest.raises(NotFound, match="'bob'"):
        store.writer.administer(
            AddKey(id="0" * 16, user="bob", digest="", label="", role=None, at=NOW, expires_at=None)
        )


def test_sessions_end(store: Store, access: AccessReader) -> None:
    add(store, "ada", Role.ADMIN)
    tokens = [new_token(SESSION) for _ in range(3)]
    for n, token in enumerate(tokens):
        at = NOW + timedelta(hours=n)
        store.writer.administer(
            OpenSession(id=token.id, user="ada", digest=token.digest, at=at, expires_at=at + timedelta(minutes=90))
        )
    assert access.session(tokens[0].id) is None  # had ended when the third began
    found = access.session(tokens[1].id)
    assert found is not None
    assert tokens[1].matches(found[0])
    assert not tokens[1].matches(tokens[2].digest)
    assert store.writer.administer(CloseSession(id=tokens[1].id, at=LATER))
    assert access.session(tokens[1].id) is None
    assert not store.writer.administer(CloseSession(id=tokens[1].id, at=LATER))


def test_a_new_password_ends_the_sessions(store: Store, access: AccessReader) -> None:
    add(store, "ada", Role.ADMIN)
    token = new_token(SESSION)
    store.writer.administer(OpenSession(id=token.id, user="ada", digest=token.digest, at=NOW, expires_at=LATER))
    store.writer.administer(ChangeUser(name="ada", password_hash="$argon2id$new", at=LATER))
    assert access.session(token.id) is None
    assert access.user("ada") == (access.users()[0], "$argon2id$new")
