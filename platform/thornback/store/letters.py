"""Deliveries on their way into the inbox, inside the writer's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from thornback.jobs.events import EventFactory, JobEvent
from thornback.metrics.port import Delivery, NewJob, Receipt
from thornback.store.admit import MAX_INT, admit, clean_text, short_text
from thornback.store.bulk import BulkWriter
from thornback.store.cells import MAX_BIG_INT, cut, whole_cell
from thornback.store.columns import canonical_id
from thornback.store.tables import WebhookDelivery

_inbox = WebhookDelivery.__table__  # type: ignore[attr-defined]

DELETED = "the job was deleted"

# Old deliveries that a commit removes: more than it brings, so that the table shrinks, and never very many.
_PRUNE_LEAST = 100
_PRUNE_FACTOR = 2

_IN_CHUNK = 500

_Key = tuple[str, str]  # provider and delivery id as the columns hold them


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A call of `Recorder.receive`."""

    delivery: Delivery
    events: Sequence[JobEvent]
    new: NewJob | None = None


@dataclass(slots=True, eq=False)
class Letter:
    """An arrival, what is known of it, and what becomes of it."""

    delivery: Delivery
    key: _Key
    job_id: str | None  # that its events are about
    events: Sequence[JobEvent]
    problem: str | None
    row_id: int | None = None  # the dead letter that it puts right
    is_repeat: bool = False

    @property
    def is_good(self) -> bool:
        """True where its events are to be committed."""
        return not self.is_repeat and self.problem is None

    def receipt(self, fresh: Collection[int]) -> Receipt:
        """The answer; `fresh` are the identities of the events that were new."""
        committed = sum(id(event) in fresh for event in self.events) if self.is_good else 0
        still_dead = self.row_id is not None and self.problem is not None
        return Receipt(is_new=not self.is_repeat and not still_dead, committed=committed, problem=self.problem)


def open_letters(connection: sa.Connection, arrivals: Sequence[Arrival]) -> list[Letter]:
    """Arrivals in their order, those marked that the inbox has already."""
    letters = [_letter(arrival) for arrival in arrivals]
    known = _known(connection, {letter.key for letter in letters})
    chosen: dict[_Key, Letter] = {}
    for letter in letters:
        other = chosen.get(letter.key)
        if other is None or (other.problem is not None and letter.problem is None):
            chosen[letter.key] = letter
    for letter in letters:
        row = known.get(letter.key)
        if row is not None and row.state == "dead" and letter.problem is None:
            letter.row_id = row.id
        elif row is not None:
            letter.is_repeat = True
        letter.is_repeat |= chosen[letter.key] is not letter
    return letters


def find_jobs(letters: Sequence[Letter], known: Collection[str], deleted: Collection[str]) -> None:
    """Say of letters to jobs that are not there why they cannot be delivered."""
    for letter in letters:
        if letter.is_good and letter.job_id not in known:
            if letter.job_id is None:
                letter.problem = "it names no job"
            else:
                letter.problem = DELETED if letter.job_id in deleted else f"there is no job {letter.job_id}"


def keep_letters(connection: sa.Connection, bulk: BulkWriter, letters: Sequence[Letter]) -> None:
    """Put them into the inbox."""
    bulk.deliveries(_row(letter) for letter in letters if not letter.is_repeat and letter.row_id is None)
    repaired = [
        {"b_id": letter.row_id, **_row(letter)}
        for letter in letters
        if letter.row_id is not None and not letter.is_repeat
    ]
    if repaired:
        connection.execute(_REPAIR, repaired)


def prune(connection: sa.Connection, *, before: datetime, arrived: int) -> bool:
    """Remove some of the applied deliveries that were received before a time; False where more may be left."""
    most = max(_PRUNE_LEAST, _PRUNE_FACTOR * arrived)
    old = sa.select(_inbox.c.id).where(_inbox.c.state == "applied", _inbox.c.received_at < before).limit(most)
    numbers = connection.execute(old).scalars().all()
    if numbers:
        connection.execute(sa.delete(_inbox).where(_inbox.c.id.in_(numbers)))
    return len(numbers) < most


def discard(connection: sa.Connection, row_id: int) -> None:
    """Remove a dead letter; others stay."""
    number = whole_cell(row_id, MAX_BIG_INT)
    connection.execute(sa.delete(_inbox).where(_inbox.c.id == number, _inbox.c.state == "dead"))


def empty_letters(connection: sa.Connection, job_id: str) -> None:
    """Forget what deliveries of a job said. That they came is kept, so that repeats are known as such."""
    connection.execute(sa.update(_inbox).where(_inbox.c.job_id == job_id).values(body=""))


def _letter(arrival: Arrival) -> Letter:
    delivery, new = arrival.delivery, arrival.new
    told = [event.job_id for event in arrival.events]
    named = new.job_id if new is not None else delivery.job_id or (told[0] if told else None)
    job_id = None if named is None else canonical_id(named)
    problem = delivery.problem
    events: list[JobEvent] = []
    if problem is None:
        events, problem = _admit(arrival, job_id)
        if job_id is None and named is not None:
            problem = f"there is no job {named}"
    return Letter(
        delivery=delivery,
        key=(short_text(delivery.provider, 50), short_text(delivery.delivery_id, 255)),
        job_id=job_id,
        events=events,
        problem=problem,
    )


def _admit(arrival: Arrival, job_id: str | None) -> tuple[list[JobEvent], str | None]:
    """The events as they will be stored, the job's creation first; and why that cannot be done."""
    events = [*_creation(arrival.new), *arrival.events]
    admitted = []
    for event in events:
        stored = admit(event)
        if stored is None:
            return [], f"its event {event.key} cannot be stored"
        if stored.job_id != job_id:
            return [], f"its event {event.key} is about another job"
        admitted.append(stored)
    return admitted, None


def _creation(new: NewJob | None) -> list[JobEvent]:
    if new is None:
        return []
    make = EventFactory(new.job_id)
    return [
        make.created(
            new.spec,
            user=new.user,
            at=new.at,
            team=new.team,
            retry_of=new.retry_of,
            resume_from=new.resume_from,
            parent_id=new.parent_id,
            traceparent=new.traceparent,
        )
    ]


def _known(connection: sa.Connection, keys: Iterable[_Key]) -> Mapping[_Key, Any]:
    by_provider: dict[str, list[str]] = {}
    for provider, delivery_id in sorted(keys):
        by_provider.setdefault(provider, []).append(delivery_id)
    found: dict[_Key, Any] = {}
    for provider, ids in by_provider.items():
        for start in range(0, len(ids), _IN_CHUNK):
            statement = sa.select(_inbox.c.id, _inbox.c.delivery_id, _inbox.c.state).where(
                _inbox.c.provider == provider, _inbox.c.delivery_id.in_(ids[start : start + _IN_CHUNK])
            )
            found |= {(provider, row.delivery_id): row for row in connection.execute(statement)}
    return found


def _row(letter: Letter) -> dict[str, Any]:
    delivery = letter.delivery
    provider, delivery_id = letter.key
    item = delivery.item
    return {
        "provider": provider,
        "delivery_id": delivery_id,
        "received_at": delivery.received_at.astimezone(UTC),
        "provider_id": None if delivery.provider_id is None else short_text(delivery.provider_id, 255),
        "job_id": letter.job_id,
        "item": item if item is not None and 0 <= item <= MAX_INT else None,
        "status": cut(delivery.status, 50),
        # what a deleted job's provider says about it is of no use to anybody
        "body": "" if letter.problem == DELETED else clean_text(delivery.body),
        "problem": cut(letter.problem),
        "state": "applied" if letter.problem is None else "dead",
    }


_REPAIR = sa.update(_inbox).where(_inbox.c.id == sa.bindparam("b_id"))  # sets the columns that the rows name
