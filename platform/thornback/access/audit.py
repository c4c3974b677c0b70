"""The audit log: who did what, in a chain of hashes that shows every later change. Pure.

The hash of an entry is SHA-256 over the JSON of all its fields and the hash of the entry before it. Who can write to
the database can make a whole new chain: what was exported, or a head that was noted elsewhere, shows that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from thornback.by_name import ByName
from thornback.errors import DataError, InvalidInput

GENESIS = "0" * 64  # what stands before the first entry
SYSTEM = "system"  # the actor where no user asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(ByName):
    """What somebody did. `detail` is JSON-ready and holds no secrets."""

    actor: str
    action: str  # a noun and a verb, e.g. key.add
    target: str
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry(Act):
    """An act with its place in the chain."""

    seq: int  # from 1, without gaps
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry."""

    seq: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the whole chain found."""

    entries: int  # that are right, from the first on
    head: Head
    problem: str | None = None  # the first one


def link(act: Act, head: Head) -> AuditEntry:
    """The entry that comes after `head`."""
    seq = head.seq + 1
    return AuditEntry(
        actor=act.actor,
        action=act.action,
        target=act.target,
        at=act.at,
        detail=act.detail,
        seq=seq,
        previous_hash=head.hash,
        hash=digest(act, seq=seq, previous_hash=head.hash),
    )


def digest(act: Act, *, seq: int, previous_hash: str) -> str:
    """SHA-256 in hex, over JSON with sorted keys and without spaces; the time in UTC, with microseconds."""
    at = act.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [seq, at, act.actor, act.action, act.target, dict(act.detail), previous_hash]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(entries: Iterable[AuditEntry], *, newest: Head | None = None) -> Verdict:
    """Look at a whole chain, oldest entry first.

    Args:
        entries: all of them, from the first on.
        newest: an entry that has to be among them, by its number and hash; shows what was cut off at the end.
    """
    head, met = Head(), newest is None or newest.seq == 0
    for entry in entries:
        problem = _problem(entry, head)
        if problem is None and newest is not None and entry.seq == newest.seq:
            met = True
            if entry.hash != newest.hash:
                problem = f"entry {entry.seq} is not the one that was noted: its hash was {newest.hash}"
        if problem is not None:
            return Verdict(head.seq, head, problem)
        head = Head(entry.seq, entry.hash)
    if not met and newest is not None:
        return Verdict(head.seq, head, f"the log ends at entry {head.seq}; there was an entry {newest.seq}")
    return Verdict(head.seq, head)


def _problem(entry: AuditEntry, head: Head) -> str | None:
    if entry.seq != head.seq + 1:
        return f"entry {head.seq + 1} is missing: {entry.seq} comes after {head.seq}"
    if entry.previous_hash != head.hash:
        return f"entry {entry.seq} does not follow entry {head.seq}"
    if digest(entry, seq=entry.seq, previous_hash=entry.previous_hash) != entry.hash:
        return f"entry {entry.seq} was changed"
    return None


def to_json(entry: AuditEntry) -> dict[str, Any]:
    """An entry as a line of an export has it."""
    return {
        "seq": entry.seq,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "detail": dict(entry.detail),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def from_json(data: Any) -> AuditEntry:
    """The entry of a line of an export. Raises DataError for what is none."""
    try:
        values = {name: data[name] for name in ("seq", "actor", "action", "target", "detail", "previous_hash", "hash")}
        return AuditEntry(at=datetime.fromisoformat(data["at"]), **values)
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(f"this is no entry of an audit log: {error!r}") from None


def read_head(text: str) -> Head:
    """`SEQ:HASH` as it was noted. Raises InvalidInput."""
    seq, _, hash = text.strip().partition(":")
    if not seq.isdecimal() or len(seq) > 18 or len(hash) != len(GENESIS):
        raise InvalidInput.field("head", "must be the number of an entry, a colon and its hash: 12:5f3a…")
    return Head(int(seq), hash)
