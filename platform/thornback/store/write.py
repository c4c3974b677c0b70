"""The only code that changes rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from thornback.errors import InvalidInput, JobNotFound
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.reduce import reduce_all
from thornback.jobs.state import JobState
from thornback.metrics.port import Created, NewJob, QueuePlace, StreamEvent
from thornback.store.admit import admit, clean_text
from thornback.store.bulk import BulkWriter, kinds
from thornback.store.columns import canonical_id
from thornback.store.guard import store_errors
from thornback.store.idempotency import find_key, keep_key
from thornback.store.project import job_columns
from thornback.store.state_codec import decode_state
from thornback.store.states import StateCache
from thornback.store.tables import IdempotencyKey, JobEventRow, JobLog, TrainingJob, TrainingMetric

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_events = JobEventRow.__table__  # type: ignore[attr-defined]
_metrics = TrainingMetric.__table__  # type: ignore[attr-defined]
_logs = JobLog.__table__  # type: ignore[attr-defined]
_keys = IdempotencyKey.__table__  # type: ignore[attr-defined]

_TOMBSTONE = ("store", "deleted")  # source and key
_IN_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What a transaction added: only new events, in the order of their ids, and the jobs they changed."""

    events: tuple[StreamEvent, ...] = ()
    jobs: Mapping[str, JobState] = field(default_factory=dict)


class StoreWriter:
    """Commits events and folds them into the job rows. One thread uses it.

    Two writers at one database (an actor and the restarted one) do no harm: each transaction holds
    the write lock from its beginning, and a writer that finds events of another forgets its cache.

    Every method raises StoreUnavailable where the database cannot be written; nothing is half-written.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._cache = StateCache()
        self._last_id = -1
        self.found_id = 0  # the newest event that the last transaction met when it began, whoever wrote it

    def commit(self, events: Sequence[JobEvent]) -> Committed:
        """One transaction: events, metrics, logs, job rows.

        Dropped are repeats, events of unknown or deleted jobs (unless this call creates the job) and
        events that cannot be stored.
        """
        admitted = [event for event in map(admit, events) if event is not None]
        if not admitted:
            return Committed()
        with self._transaction() as tx:
            return tx.commit(admitted)

    def create(self, new: NewJob) -> tuple[Created, Committed]:
        """Make a job, or find the one that an earlier call with the same id or Idempotency-Key made.

        Raises:
            IdempotencyConflict: the key came before with another body.
            InvalidInput: `job_id` is no UUID.
            JobNotFound: the job with this id has been deleted.
        """
        if canonical_id(new.job_id) != new.job_id:
            raise InvalidInput.field("job_id", f"{new.job_id!r} is not a UUID")
        factory = EventFactory(new.job_id)
        event = factory.created(new.spec, user=new.user, at=new.at, retry_of=new.retry_of, resume_from=new.resume_from)
        admitted = admit(event)
        if admitted is None:
            raise InvalidInput.field("spec", "is not a complete job specification")
        with self._transaction() as tx:
            earlier = find_key(tx.connection, new)
            if earlier is not None:
                return Created(job=tx.state(earlier), is_new=False), Committed()
            committed = tx.commit([admitted])
            if not committed.events:
                return Created(job=tx.state(new.job_id), is_new=False), committed
            keep_key(tx.connection, new)
            return Created(job=committed.jobs[new.job_id], is_new=True), committed

    def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """Replace the places of all waiting jobs; only rows that change are written."""
        with self._transaction() as tx:
            tx.set_queue(places)

    def delete(self, job_id: str) -> Committed:
        """Remove a job's rows and leave a tombstone event. Unknown and deleted jobs are no error."""
        known = canonical_id(job_id)
        if known is None:
            return Committed()
        with self._transaction() as tx:
            return tx.delete(known, datetime.now(UTC))

    def latest_event_id(self) -> int:
        """The id of the newest event, 0 where there is none."""
        with store_errors(), self._engine.connect() as connection:
            return _latest_id(connection)

    def close(self) -> None:
        """Close the engine's connections; it can still be used afterwards."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[_Transaction]:
        with store_errors(), self._engine.begin() as connection:
            bulk = BulkWriter(connection)
            bulk.lock()
            last_id = self.found_id = _latest_id(connection)
            if last_id != self._last_id:
                # the first transaction, or another writer's, or one of ours whose answer was lost
                self._cache.clear()
            tx = _Transaction(connection, bulk, self._cache, last_id)
            yield tx
        # Only what is in the database is remembered: a failure does not come so far.
        self._last_id = tx.last_id
        self._cache.put(tx.changed)
        for job_id in tx.deleted:
            self._cache.drop(job_id)


class _Transaction:
    """One transaction of the writer, which holds the write lock."""

    def __init__(self, connection: sa.Connection, bulk: BulkWriter, cache: StateCache, last_id: int) -> None:
        self.connection = connection
        self.last_id = last_id
        self.changed: dict[str, JobState] = {}
        self.deleted: list[str] = []
        self._bulk = bulk
        self._cache = cache

    def commit(self, events: list[JobEvent]) -> Committed:
        """Insert what is new and fold it."""
        states = self._states({event.job_id for event in events})
        newborn = self._newborn(events, states)
        states |= newborn
        new = self._insert([event for event in events if event.job_id in states])
        by_job: dict[str, list[JobEvent]] = {}
        for _, event in new:
            by_job.setdefault(event.job_id, []).append(event)
        jobs = {job_id: reduce_all(states[job_id], mine) for job_id, mine in by_job.items()}
        self._write_jobs(jobs, states, newborn)
        self._bulk.metrics(kinds(new, EventKind.METRICS))  # after the rows that they refer to
        self._bulk.logs(kinds(new, EventKind.LOG))
        self.changed |= jobs
        return Committed(events=_stream(new, jobs), jobs=jobs)

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
        exists = self.connection.execute(sa.select(_jobs.c.id).where(_jobs.c.id == job_id)).first()
        if exists is None:
            return Committed()
        for column in (_metrics.c.training_job_id, _logs.c.job_id, _keys.c.job_id, _events.c.job_id, _jobs.c.id):
            self.connection.execute(sa.delete(column.table).where(column == job_id))
        source, key = _TOMBSTONE
        tombstone = JobEvent(job_id=job_id, source=source, key=key, kind=EventKind.DELETED, at=at)
        new = self._insert([tombstone])
        self.deleted.append(job_id)
        return Committed(events=_stream(new, {}))

    def _insert(self, events: list[JobEvent]) -> list[tuple[int, JobEvent]]:
        if not events:
            return []
        new = self._bulk.events(self.last_id + 1, events)
        self.last_id = new[-1][0] if new else self.last_id
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

    def _newborn(self, events: list[JobEvent], states: Mapping[str, JobState]) -> dict[str, JobState]:
        """Empty states for the jobs that these events create, unless they were deleted before."""
        born = {event.job_id for event in events if event.kind is EventKind.CREATED and event.job_id not in states}
        if not born:
            return {}
        source, key = _TOMBSTONE
        query = sa.select(_events.c.job_id).where(
            _events.c.job_id.in_(sorted(born)), _events.c.source == source, _events.c.key == key
        )
        born -= set(self.connection.execute(query).scalars())
        return {job_id: JobState(id=job_id) for job_id in born}

    def _write_jobs(
        self, jobs: Mapping[str, JobState], before: Mapping[str, JobState], newborn: Collection[str]
    ) -> None:
        created = [job_columns(state) for job_id, state in jobs.items() if job_id in newborn]
        changed = [state for job_id, state in jobs.items() if job_id not in newborn and state != before[job_id]]
        if created:
            self.connection.execute(sa.insert(_jobs), created)
        if changed:
            self.connection.execute(_UPDATE, [_update_row(state) for state in changed])


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


def _latest_id(connection: sa.Connection) -> int:
    # ids are given from here: the newest event is never removed, since a tombstone follows every deletion
    return connection.execute(_LATEST).scalar_one() or 0


_LATEST = sa.select(sa.func.max(_events.c.id))
_UPDATE = sa.update(_jobs).where(_jobs.c.id == sa.bindparam("b_id"))  # sets the columns that the rows name
