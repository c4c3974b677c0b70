"""The only code that changes rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from thornback.access.changes import Change
from thornback.errors import InvalidInput
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.queue import PauseQueue, QueueChange
from thornback.jobs.versions import NewVersion, VersionPlan
from thornback.metrics.port import Created, NewJob, QueuePlace
from thornback.store import versions
from thornback.store.access import carry_out
from thornback.store.admit import admit, clean_text
from thornback.store.bulk import BulkWriter
from thornback.store.columns import canonical_id
from thornback.store.guard import store_errors
from thornback.store.idempotency import find_key, keep_key
from thornback.store.letters import Arrival, discard, prune
from thornback.store.queue import change_queue
from thornback.store.states import StateCache
from thornback.store.transaction import Committed, Transaction, latest_id

__all__ = ["Arrival", "Committed", "StoreWriter"]

KEEP_DELIVERIES = timedelta(days=30)

# How often old deliveries are looked for.
PRUNE_EVERY = timedelta(minutes=1)


class StoreWriter:
    """Commits events and folds them into the job rows. One thread uses it.

    Two writers at one database (an actor and the restarted one) do no harm: each transaction holds
    the write lock from its beginning, and a writer that finds events of another forgets its cache.

    Every method raises StoreUnavailable where the database cannot be written; nothing is half-written.
    """

    def __init__(self, engine: sa.Engine, *, keep_deliveries: timedelta = KEEP_DELIVERIES) -> None:
        """`keep_deliveries`: how long applied deliveries stay in the inbox."""
        self._engine = engine
        self._keep_deliveries = keep_deliveries
        self._pruned_at: datetime | None = None
        self._cache = StateCache()
        self._last_id = -1
        self.found_id = 0  # the newest event that the last transaction met when it began, whoever wrote it

    def commit(self, events: Sequence[JobEvent], arrivals: Sequence[Arrival] = ()) -> Committed:
        """One transaction: events, metrics, logs, job rows, items and the inbox.

        Dropped are repeats, events of unknown or deleted jobs (unless this call creates the job) and
        events that cannot be stored. A delivery is applied whole or kept as a dead letter.
        """
        admitted = [event for event in map(admit, events) if event is not None]
        if not admitted and not arrivals:
            return Committed()
        with self._transaction() as tx:
            committed = tx.commit(admitted, arrivals)
            if arrivals:
                self._prune(tx, arrivals)
            return committed

    def _prune(self, tx: Transaction, arrivals: Sequence[Arrival]) -> None:
        now = max(arrival.delivery.received_at for arrival in arrivals)
        if self._pruned_at is not None and timedelta(0) <= now - self._pruned_at < PRUNE_EVERY:
            return
        if prune(tx.connection, before=now - self._keep_deliveries, arrived=len(arrivals)):
            self._pruned_at = now

    def discard(self, delivery_id: int) -> None:
        """Remove a dead letter. Unknown numbers and applied deliveries are left alone."""
        with self._transaction() as tx:
            discard(tx.connection, delivery_id)

    def administer(self, change: Change) -> bool:
        """Change users, keys or sessions; False: there was nothing to do. Raises what it says."""
        with self._transaction() as tx:
            return carry_out(change, tx.connection)

    def hold_queue(self, change: QueueChange) -> tuple[bool, Committed]:
        """Hold the queue or let it go, and the event that tells of it; False: it is so already."""
        with self._transaction() as tx:
            if not change_queue(change, tx.connection):
                return False, Committed()
            return True, tx.announce(_told(change))

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
        event = factory.created(
            new.spec,
            user=new.user,
            at=new.at,
            retry_of=new.retry_of,
            resume_from=new.resume_from,
            parent_id=new.parent_id,
        )
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

    def plan_version(self, *, user: str, model: str, job_id: str) -> VersionPlan:
        """See `versions.plan_version`; asked of the writer, so that it is never behind."""
        with self._transaction() as tx:
            return versions.plan_version(tx.connection, user=user, model=model, job_id=job_id)

    def register_version(self, new: NewVersion) -> VersionPlan:
        """See `versions.register_version`."""
        with self._transaction() as tx:
            return versions.register_version(tx.connection, new)

    def set_alias(self, *, user: str, model: str, alias: str, version: int | None, by: str, at: datetime) -> None:
        """See `versions.set_alias`."""
        with self._transaction() as tx:
            versions.set_alias(tx.connection, user=user, model=model, alias=alias, version=version, by=by, at=at)

    def note_version(self, *, user: str, model: str, version: int, notes: str) -> None:
        """See `versions.note_version`."""
        with self._transaction() as tx:
            versions.note_version(tx.connection, user=user, model=model, version=version, notes=notes)

    def delete_version(self, *, user: str, model: str, version: int) -> None:
        """See `versions.delete_version`."""
        with self._transaction() as tx:
            versions.delete_version(tx.connection, user=user, model=model, version=version)

    def latest_event_id(self) -> int:
        """The id of the newest event, 0 where there is none."""
        with store_errors(), self._engine.connect() as connection:
            return latest_id(connection)

    def close(self) -> None:
        """Close the engine's connections; it can still be used afterwards."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with store_errors(), self._engine.begin() as connection:
            bulk = BulkWriter(connection)
            bulk.lock()
            last_id = self.found_id = latest_id(connection)
            if last_id != self._last_id:
                # the first transaction, or another writer's, or one of ours whose answer was lost
                self._cache.clear()
            tx = Transaction(connection, bulk, self._cache, last_id)
            yield tx
        # Only what is in the database is remembered: a failure does not come so far.
        self._last_id = tx.last_id
        self._cache.put(tx.changed)
        for job_id in tx.deleted:
            self._cache.drop(job_id)


def _told(change: QueueChange) -> JobEvent:
    is_paused = isinstance(change, PauseQueue)
    reason = clean_text(change.reason) if isinstance(change, PauseQueue) else ""
    return EventFactory.queue(paused=is_paused, by=clean_text(change.by), at=change.at, reason=reason)
