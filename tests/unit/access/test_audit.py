"""Whatever happens to a log after it was written is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.access.audit import GENESIS, Act, AuditEntry, Head, from_json, link, read_head, to_json, verify
from thornback.errors import DataError, InvalidInput

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = st.text(max_size=8)
DETAIL = st.dictionaries(TEXT, st.one_of(st.none(), st.booleans(), st.integers(), TEXT), max_size=3)
ACTS = st.builds(
    Act,
    actor=TEXT,
    action=TEXT,
    target=TEXT,
    at=st.integers(0, 10**9).map(lambda seconds: AT + timedelta(seconds=seconds)),
    detail=DETAIL,
)
LOGS = st.lists(ACTS, min_size=2, max_size=8)


def chain(acts: list[Act]) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    head = Head()
    for act in acts:
        entries.append(link(act, head))
        head = Head(entries[-1].seq, entries[-1].hash)
    return entries


def head_of(entries: list[AuditEntry]) -> Head:
    return Head(entries[-1].seq, entries[-1].hash)


@given(LOGS)
def test_a_log_that_nobody_touched_is_right(acts: list[Act]) -> None:
    entries = chain(acts)
    verdict = verify(entries, newest=head_of(entries))
    assert (verdict.problem, verdict.entries, verdict.head) == (None, len(acts), head_of(entries))
    assert verify([from_json(to_json(entry)) for entry in entries]).problem is None


CHANGES: dict[str, Callable[[AuditEntry], Any]] = {
    "seq": lambda entry: entry.seq + 1,
    "at": lambda entry: entry.at + timedelta(microseconds=1),
    "actor": lambda entry: entry.actor + "x",
    "action": lambda entry: entry.action + "x",
    "target": lambda entry: entry.target + "x",
    "detail": lambda entry: {**entry.detail, "more": 1},
    "previous_hash": lambda entry: "f" * 64,
    "hash": lambda entry: "f" * 64,
}


@given(LOGS, st.data(), st.sampled_from(sorted(CHANGES)))
def test_a_changed_entry_is_found(acts: list[Act], data: st.DataObject, name: str) -> None:
    entries = chain(acts)
    place = data.draw(st.integers(0, len(entries) - 1))
    newest = head_of(entries)
    entries[place] = replace(entries[place], **{name: CHANGES[name](entries[place])})
    verdict = verify(entries, newest=newest)
    assert verdict.problem is not None
    assert verdict.entries == place  # all before it are right


@given(LOGS, st.data())
def test_a_removed_entry_is_found(acts: list[Act], data: st.DataObject) -> None:
    """Also the last one: the newest entry is noted elsewhere."""
    entries = chain(acts)
    newest = head_of(entries)
    del entries[data.draw(st.integers(0, len(entries) - 1))]
    assert verify(entries, newest=newest).problem is not None


@given(LOGS, st.data())
def test_another_order_is_found(acts: list[Act], data: st.DataObject) -> None:
    entries = chain(acts)
    one, other = data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True))
    entries[one], entries[other] = entries[other], entries[one]
    assert verify(entries).problem is not None


@given(LOGS, st.data())
def test_a_whole_new_chain_has_not_the_head_that_was_noted(acts: list[Act], data: st.DataObject) -> None:
    entries = chain(acts)
    newest = head_of(entries)
    place = data.draw(st.integers(0, len(acts) - 1))
    acts[place] = replace(acts[place], actor=acts[place].actor + "x")
    forged = chain(acts)
    assert verify(forged).problem is None
    assert "not the one that was noted" in str(verify(forged, newest=newest).problem)


def test_an_empty_log_is_right() -> None:
    assert verify([]).problem is None
    assert verify([], newest=Head()).problem is None


def test_heads_and_lines_are_read() -> None:
    assert read_head(f" 7:{GENESIS} ") == Head(7, GENESIS)
    for text in ("", "7", f"x:{GENESIS}", "7:abc", f"-1:{GENESIS}"):
        with pytest.raises(InvalidInput):
            read_head(text)
    lines: list[Any] = [None, [], {}, {"seq": 1, "at": "never"}, 5]
    for line in lines:
        with pytest.raises(DataError):
            from_json(line)
