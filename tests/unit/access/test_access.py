from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from thornback.access.changes import check_name
from thornback.access.passwords import hash_password, matches
from thornback.access.roles import Role
from thornback.access.throttle import LONGEST, Throttle
from thornback.access.tickets import Ticket, read_ticket, write_ticket
from thornback.access.tokens import KEY, SESSION, new_token, read_token
from thornback.errors import InvalidInput

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_roles_grow() -> None:
    assert [role for role in Role if Role.TRAINER.covers(role)] == [Role.VIEWER, Role.TRAINER]
    assert Role.ADMIN.at_most(Role.VIEWER) is Role.VIEWER
    assert Role.VIEWER.at_most(Role.ADMIN) is Role.VIEWER
    assert Role.TRAINER.at_most(None) is Role.TRAINER


def test_tokens_are_told_by_their_secret() -> None:
    token, other = new_token(KEY), new_token(KEY)
    assert read_token(token.text) == token
    assert token.matches(token.digest)
    assert not other.matches(token.digest)
    assert token.secret not in repr(token)
    assert new_token(SESSION).text.startswith("tbs_")


@pytest.mark.parametrize(
    "text",
    ["", "tbk", "tbk_1_2", "Bearer x", pytest.param(new_token(KEY).text + "x", id="too long"), "tbx_" + "0" * 16],
)
def test_what_is_no_token(text: str) -> None:
    assert read_token(text) is None


def test_passwords() -> None:
    kept = hash_password("correct horse battery")
    assert matches("correct horse battery", kept)
    assert not matches("correct horse batterz", kept)
    assert not matches("nobody has this password", None)  # not even the one that is compared with
    assert not matches("anything", "not a hash")
    with pytest.raises(InvalidInput, match="10 to 1000 characters"):
        hash_password("short")


def test_pauses_grow_and_end() -> None:
    throttle = Throttle(free=2)
    for _ in range(2):
        assert throttle.wait("ada", now=NOW) == timedelta(0)
        throttle.failed("ada", now=NOW)
    assert throttle.wait("ada", now=NOW) == timedelta(seconds=1)
    assert throttle.wait("ada", now=NOW + timedelta(seconds=1)) == timedelta(0)
    for _ in range(40):
        throttle.failed("ada", now=NOW)
    assert throttle.wait("ada", now=NOW) == LONGEST
    assert throttle.wait("bob", now=NOW) == timedelta(0)
    throttle.succeeded("ada")
    assert throttle.wait("ada", now=NOW) == timedelta(0)


def test_tickets_hold_for_a_while_and_for_what_they_say() -> None:
    ticket = Ticket(user="ada", job_id="j", expires_at=NOW + timedelta(minutes=1))
    text = write_ticket(ticket, b"secret")
    assert read_ticket(text, b"secret", now=NOW) == ticket
    assert read_ticket(text, b"secret", now=NOW + timedelta(minutes=1)) is None
    assert read_ticket(text, b"other", now=NOW) is None
    body, _, signature = text.partition(".")
    forged = write_ticket(Ticket(user="eve", job_id=None, expires_at=ticket.expires_at), b"other").partition(".")[0]
    for wrong in ("", ".", body, f"{forged}.{signature}", f"{body}.{signature[:-2]}", "ä.ö", text + "!"):
        assert read_ticket(wrong, b"secret", now=NOW) is None


def test_names() -> None:
    assert check_name(" Ada.L@example.org ") == "ada.l@example.org"
    for name in ("", "a b", "../x", "-x", "x" * 101, "ä"):
        with pytest.raises(InvalidInput, match="name"):
            check_name(name)
