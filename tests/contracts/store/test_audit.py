"""The audit log on both engines: written with what it tells of, and true to the hash."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.contracts.store.conftest import NOW, Store, job_id
from thornback.access.audit import Act
from thornback.access.changes import AddKey, AddMember, AddTeam, AddUser, KeyUsed, RemoveMember, RemoveTeam, UseState
from thornback.access.roles import Role
from thornback.errors import Conflict, NotFound
from thornback.jobs.queue import PauseQueue, ResumeQueue
from thornback.jobs.wishes import Wish
from thornback.store.access import AccessReader

LATER = NOW + timedelta(hours=1)
ADA = AddUser(name="ada", role=Role.TRAINER, password_hash=None, at=NOW)


def acts_of(store: Store) -> list[tuple[str, str, str]]:
    return [(entry.actor, entry.action, entry.target) for entry in AccessReader(store.reader.engine).audit(limit=100)]


def test_acts_are_written_with_what_they_tell_of(store: Store) -> None:
    make = store.create(user="ada")
    id = job_id(make)
    asked = [make.prioritized(5, user="bob", at=NOW), make.asked(Wish.APPROVE, user="ada", at=NOW)]
    store.writer.commit([*asked, make.cancel_requested(user="bob", at=NOW), make.cancel_requested(user="bob", at=NOW)])
    store.writer.hold_queue(PauseQueue(by="root", at=NOW, reason="a node is replaced"))
    store.writer.hold_queue(PauseQueue(by="root", at=LATER))  # it is held: nothing was done
    store.writer.hold_queue(ResumeQueue(by="root", at=LATER))
    store.writer.administer(ADA, by="root")
    key = AddKey(id="0" * 16, user="ada", digest="d" * 64, label="x", role=None, at=NOW, expires_at=LATER)
    store.writer.administer(key, by="ada")
    store.writer.administer(KeyUsed(id="0" * 16, at=NOW))
    with pytest.raises(Conflict):
        store.writer.administer(AddUser(name="ada", role=Role.ADMIN, password_hash=None, at=LATER), by="eve")
    assert acts_of(store) == [
        ("ada", "job.create", id),
        ("bob", "job.prioritize", id),
        ("ada", "job.approve", id),
        ("bob", "job.cancel", id),
        ("root", "queue.pause", "queue"),
        ("root", "queue.resume", "queue"),
        ("root", "user.add", "ada"),
        ("ada", "key.add", "0" * 16),
    ]
    assert AccessReader(store.reader.engine).verify_audit().problem is None


def test_odd_words_have_the_same_hash_when_they_are_read(store: Store) -> None:
    detail = {"nul": "a\x00b", "half": "\ud800", "number": 0.1, "not": float("nan"), "at": NOW, "long": "x" * 5000}
    act = Act(actor="ä" * 300, action="x" * 80, target="\x00" * 300, at=NOW + timedelta(microseconds=1), detail=detail)
    assert store.writer.administer(act)
    access = AccessReader(store.reader.engine)
    assert access.verify_audit().problem is None
    (entry,) = access.audit(limit=10)
    assert (len(entry.actor), len(entry.action), entry.detail["not"]) == (255, 50, None)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_log SET actor = 'eve' WHERE seq = 2", "entry 2 was changed"),
        ("DELETE FROM audit_log WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM audit_log WHERE seq = 3", "there was an entry 3"),
        ("DELETE FROM audit_log", "there was an entry 3"),
        ("UPDATE audit_log SET detail = '{}' WHERE seq = 1", "entry 1 was changed"),
    ],
)
def test_what_is_done_to_the_table_shows(store: Store, statement: str, words: str) -> None:
    for number in range(3):
        store.writer.administer(Act(actor="ada", action="x", target="y", at=NOW, detail={"number": number}))
    access = AccessReader(store.reader.engine)
    noted = access.verify_audit().head
    assert access.verify_audit(noted).problem is None
    with store.engine.begin() as connection:
        connection.execute(sa.text(statement))
    assert words in str(access.verify_audit().problem)


def test_teams_and_their_members(store: Store) -> None:
    store.writer.administer(ADA)
    vision = AddTeam(id="vision", name="Vision", at=NOW)
    assert store.writer.administer(vision)
    assert store.writer.administer(vision)  # the same call again
    with pytest.raises(Conflict, match="already"):
        store.writer.administer(AddTeam(id="vision", name="Other", at=LATER))
    assert store.writer.administer(AddMember(team="vision", user="ada", at=NOW))
    assert not store.writer.administer(AddMember(team="vision", user="ada", at=NOW))
    for change in (AddMember(team="none", user="ada", at=NOW), AddMember(team="vision", user="eve", at=NOW)):
        with pytest.raises(NotFound):
            store.writer.administer(change)
    assert store.reader.teams_of("ada") == ("vision",)
    access = AccessReader(store.reader.engine)
    assert [(team.id, team.members) for team in access.teams()] == [("vision", ("ada",))]
    assert [user.teams for user in access.users()] == [("vision",)]
    assert store.writer.administer(RemoveMember(team="vision", user="ada", at=NOW))
    assert not store.writer.administer(RemoveMember(team="vision", user="ada", at=NOW))
    assert store.reader.teams_of("ada") == ()


def test_an_id_is_not_given_again_while_jobs_have_it(store: Store) -> None:
    store.writer.administer(AddTeam(id="vision", name="Vision", at=NOW))
    make = store.create(user="ada", team="vision")
    store.writer.administer(RemoveTeam(id="vision", at=NOW))
    with pytest.raises(Conflict, match="earlier team"):
        store.writer.administer(AddTeam(id="vision", name="Others", at=LATER))
    store.writer.delete(job_id(make))
    assert store.writer.administer(AddTeam(id="vision", name="Others", at=LATER))


def test_a_state_works_once_and_is_forgotten(store: Store) -> None:
    used = UseState(digest="a" * 64, at=NOW, expires_at=LATER)
    assert store.writer.administer(used)
    assert not store.writer.administer(used)
    assert store.writer.administer(UseState(digest="b" * 64, at=LATER + timedelta(1), expires_at=LATER + timedelta(2)))
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM used_states")).scalar_one() == 1
