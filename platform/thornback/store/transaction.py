"""One transaction of the writer, which holds the write lock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from thornback.errors import JobNotFound
from thornback.jobs.events import EventKind, JobEvent
from thornback.jobs.reduce import reduce_all
from thornback.jobs.state import JobState
from thornback.metrics.port import QueuePlace, Receipt, StreamEvent
from thornback.store.acts import AUDITED, act_of_event
from thornback.store.admit import clean_text
from thornback.store.audit import append_act
from thornback.store.bulk import BulkWriter, kinds
from thornback.store.columns import canonical_id
from thornback.store.items import fold_items
from thornback.store.letters import Arrival, Letter, empty_letters, find_jobs, keep_letters, open_letters
from thornback.store.project import job_columns
from thornback.store.state_codec import decode_state
from thornback.store.states import StateCache
from thornback.store.tables import (
    IdempotencyKey,
    JobEventRow,
    JobItem,
    JobLog,
    ProviderOrder,
    TrainingJob,
    TrainingMetric,
)
from thornback.store.turns import Turns
from thornback.store.versions import delete_versions_of

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_events = JobEventRow.__table__  # type: ignore[attr-defined]
_metrics = TrainingMetric.__table__  # type: ignore[attr-defined]
_logs = JobLog.__table__  # type: ignore[attr-defined]
_keys = IdempotencyKey.__table__  # type: ignore[attr-defined]
_items = JobItem.__table__  # type: ignore[attr-defined]
_orders = ProviderOrder.__table__  # type: ignore[attr-defined]

# Where a job's rows stand, in an order in which they can be removed.
_OF_A_JOB = (
    _metrics.c.training_job_id,
    _logs.c.job_id,
    _items.c.job_id,
    _orders.c.job_id,
    _keys.c.job_id,
    _events.c.job_id,
    _jobs.c.id,
)

_TOMBSTONE = ("store", "deleted")  # source and key
_IN_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What a transaction added: only new events, in the order of their ids, and the jobs they changed."""

    events: tuple[StreamEvent, ...] = ()
    direct: int = 0  # how many of them, the first ones, came without a delivery
    receipts: tuple[Receipt, ...] = ()  # one for each delivery, in their order
    jobs: Mapping[str, JobState] = field(default_factory=dict)


class Transaction:
    """What can be done in it."""

    def __init__(
        self, connection: sa.Connection, bulk: BulkWriter, cache: StateCache, turns: Turns, last_id: int
    ) -> None:
        self.connection = connection
        self._turns = turns
        self.last_id = last_id
        self.changed: dict[str, JobState] = {}
        self.deleted: list[str] = []
        self._bulk = bulk
        self._cache = cache

    def commit(self, events: list[JobEvent], arrivals: Sequence[Arrival] = ()) -> Committed:
        """Insert what is new and fold it."""
        letters = open_letters(self.connection, arrivals) if arrivals else []
        states, newborn = self._find_jobs(events, letters)
        direct = [event for event in events if event.job_id in states]
        new = self._insert([*direct, *_within(letters)])
        jobs = self._fold(new, states, newborn)
        keep_letters(self.connection, self._bulk, letters)
        fresh = {id(event) for _, event in new}
        return Committed(
            events=_stream(new, jobs),
            direct=sum(id(event) in fresh for event in direct),
            receipts=tuple(letter.receipt(fresh) for letter in letters),
            jobs=jobs,
        )

    def _find_jobs(
        self, events: list[JobEvent], letters: Sequence[Letter]
    ) -> tuple[dict[str, JobState], dict[str, JobState]]:
        """The jobs that are there, and those among them that these events create. Letters to others become dead."""
        about = {event.job_id for event in events} | {letter.job_id for letter in letters if letter.job_id is not None}
        states = self._states(about)
        born = {event.job_id for event in [*events, *_within(letters)] if event.kind is EventKind.CREATED}
        born -= states.keys()
        lost = {letter.job_id for letter in letters if letter.job_id is not None} - states.keys()
        deleted = self._deleted(born | lost)
        newborn = {job_id: JobState(id=job_id) for job_id in born - deleted}
        states |= newborn
        find_jobs(letters, states, deleted)
        return states, newborn

    def _fold(
        self, new: list[tuple[int, JobEvent]], states: Mapping[str, JobState], newborn: Collection[str]
    ) -> dict[str, JobState]:
        """Bring the rows to what the new events say."""
        by_job: dict[str, list[JobEvent]] = {}
        for _, event in new:
            by_job.setdefault(event.job_id, []).append(event)
        jobs = {job_id: reduce_all(states[job_id], mine) for job_id, mine in by_job.items()}
        self._write_jobs(jobs, states, newborn)
        self._bulk.metrics(kinds(new, EventKind.METRICS))  # after the rows that they refer to
        self._bulk.logs(kinds(new, EventKind.LOG))
        fold_items(self.connection, self._bulk, [event for _, event in kinds(new, EventKind.ITEM)])
        self.changed |= jobs
        return jobs

    def state(self, job_id: str) -> JobState:
        """A job as this transaction sees it. Raises JobNotFound."""
        state = self._states({job_id}).get(job_id)
        if state is None:
            raise JobNotFound(job_id)
        return state

    def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """Write the differences."""
        columns = (_jobs.c.id, _jobs.c.queue_position, _jobs.c.queue_reason)
        # a comparison, because SQLite takes no index for IS NOT NULL
        rows = list(self.connection.execute(sa.select(*columns).where(_jobs.c.queue_position >= 0)))
        wanted = {canonical_id(job_id): place for job_id, place in places.items()}
        changes = [
            {"b_id": job_id, "queue_position": place.position, "queue_reason": _clean(place.reason)}
            for job_id, place in wanted.items()
            if job_id is not None
        ]
        known = {(row.id, row.queue_position, row.queue_reason) for row in rows}
        changes = [row for row in changes if (row["b_id"], row["queue_position"], row["queue_reason"]) not in known]
        changes += [
            {"b_id": row.id, "queue_position": None, "queue_reason": None} for row in rows if row.id not in wanted
        ]
        if changes:
            self.connection.execute(_UPDATE, changes)

    def delete(self, job_id: str, at: datetime) -> Committed:
        """Remove everything but a tombstone."""
        whose = sa.select(_jobs.c.user, _jobs.c.team).where(_jobs.c.id == job_id)
        row = self.connection.execute(whose).first()
        if row is None:
            return Committed()
        delete_versions_of(self.connection, job_id)
        for column in _OF_A_JOB:
            self.connection.execute(sa.delete(column.table).where(column == job_id))
        empty_letters(self.connection, job_id)
        source, key = _TOMBSTONE
        data = {"user": row.user, "team": row.team}  # for those who may know that it was there
        tombstone = JobEvent(job_id=job_id, source=source, key=key, kind=EventKind.DELETED, at=at, data=data)
        new = self._insert([tombstone])
        self.deleted.append(job_id)
        return Committed(events=_stream(new, {}))

    def announce(self, event: JobEvent) -> Committed:
        """An event of no job."""
        return Committed(events=_stream(self._insert([event]), {}))

    def _insert(self, events: list[JobEvent]) -> list[tuple[int, JobEvent]]:
        if not events:
            return []
        ids = self._turns.numbers(self.connection, self.last_id, len(events))
        new = self._bulk.events(ids, events)
        self.last_id = new[-1][0] if new else self.last_id
        for _, event in new:
            if event.kind in AUDITED:
                append_act(self.connection, act_of_event(event))
        return new

    def _states(self, job_ids: Collection[str]) -> dict[str, JobState]:
        states = self._cache.get(job_ids)
        missing = sorted(set(job_ids) - states.keys())
        for start in range(0, len(missing), _IN_CHUNK):
            query = sa.select(_jobs.c.state).where(_jobs.c.id.in_(missing[start : start + _IN_CHUNK]))
            for data in self.connection.execute(query).scalars():
                state = decode_state(data)
                states[state.id] = state
        return states

    def _deleted(self, job_ids: Collection[str]) -> set[str]:
        """Those that had a job once."""
        source, key = _TOMBSTONE
        found: set[str] = set()
        wanted = sorted(job_ids)
        for start in range(0, len(wanted), _IN_CHUNK):
            query = sa.select(_events.c.job_id).where(
                _events.c.job_id.in_(wanted[start : start + _IN_CHUNK]),
                _events.c.source == source,
                _events.c.key == key,
            )
            found |= set(self.connection.execute(query).scalars())
        return found

    def _write_jobs(
        self, jobs: Mapping[str, JobState], before: Mapping[str, JobState], newborn: Collection[str]
    ) -> None:
        created = [job_columns(state) for job_id, state in jobs.items() if job_id in newborn]
        changed = [state for job_id, state in jobs.items() if job_id not in newborn and state != before[job_id]]
        if created:
            self.connection.execute(sa.insert(_jobs), created)
        if changed:
            self.connection.execute(_UPDATE, [_update_row(state) for state in changed])


def _within(letters: Iterable[Letter]) -> list[JobEvent]:
    return [event for letter in letters if letter.is_good for event in letter.events]


def _clean(reason: str | None) -> str | None:
    return None if reason is None else clean_text(reason)


def _update_row(state: JobState) -> dict[str, Any]:
    row = job_columns(state)
    row["b_id"] = row.pop("id")
    return row


def _stream(events: Sequence[tuple[int, JobEvent]], jobs: Mapping[str, JobState]) -> tuple[StreamEvent, ...]:
    """Events for the subscribers; the last of each job carries the job."""
    last = {event.job_id: event_id for event_id, event in events}
    return tuple(
        StreamEvent(
            id=event_id,
            job_id=event.job_id,
            kind=event.kind,
            data=event.data,
            at=event.at,
            job=jobs.get(event.job_id) if last[event.job_id] == event_id else None,
        )
        for event_id, event in events
    )


_UPDATE = sa.update(_jobs).where(_jobs.c.id == sa.bindparam("b_id"))  # sets the columns that the rows name
