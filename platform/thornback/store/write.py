"""The only code that changes rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from thornback.access.audit import SYSTEM, Act
from thornback.access.changes import Change
from thornback.errors import InvalidInput, JobNotFound
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.queue import PauseQueue, QueueChange
from thornback.jobs.shards import Shard
from thornback.jobs.state import JobState
from thornback.jobs.versions import NewVersion, VersionPlan
from thornback.jobs.webhook_changes import WebhookChange
from thornback.metrics.port import Created, NewJob, QueuePlace
from thornback.spend.quotas import ClearQuota, GoOn, Level, SetQuota, sentence, stopped
from thornback.store import versions
from thornback.store.access import carry_out
from thornback.store.acts import act_of_change
from thornback.store.admit import admit, clean_text
from thornback.store.audit import append_act
from thornback.store.bulk import BulkWriter
from thornback.store.columns import canonical_id
from thornback.store.guard import store_errors
from thornback.store.idempotency import find_key, keep_key
from thornback.store.letters import Arrival, discard, prune
from thornback.store.money import Money
from thornback.store.queue import change_queue
from thornback.store.quotas import change_quota
from thornback.store.states import StateCache
from thornback.store.transaction import Committed, Transaction
from thornback.store.turns import turns_of
from thornback.store.webhook_acts import act_of_webhook
from thornback.store.webhook_changes import change_webhooks

__all__ = ["Arrival", "Committed", "StoreWriter"]

KEEP_DELIVERIES = timedelta(days=30)

_ALONE = Shard()

# What concerns nothing but its own job: neither money nor the audit log nor other jobs.
_REPORTS = frozenset({EventKind.METRICS, EventKind.LOG, EventKind.PROGRESS, EventKind.STAGE})

# How often old deliveries are looked for.
PRUNE_EVERY = timedelta(minutes=1)


class StoreWriter:
    """Commits events and folds them into the job rows. One thread uses it.

    Two writers at one database (an actor and the restarted one) do no harm: each transaction holds
    the write lock from its beginning, and a writer that finds events of another forgets its cache.

    Every method raises StoreUnavailable where the database cannot be written; nothing is half-written.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        keep_deliveries: timedelta = KEEP_DELIVERIES,
        money: Money | None = None,
        shard: Shard = _ALONE,
    ) -> None:
        """Nothing is written yet.

        Args:
            engine: for writing.
            keep_deliveries: how long applied deliveries stay in the inbox.
            money: None limits nobody.
            shard: whose jobs it writes, where it is one of several.
        """
        self._engine = engine
        self._turns = turns_of(shard)
        self._has_claimed = False
        self._money = money or Money.plain()
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
        with self._transaction(shared=not arrivals and all(event.kind in _REPORTS for event in admitted)) as tx:
            committed = tx.commit(admitted, arrivals)
            self._money.follow(tx.connection, committed.jobs, committed.events)
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

    def administer(self, change: Change | WebhookChange | SetQuota | ClearQuota, *, by: str = SYSTEM) -> bool:
        """Change users, keys, sessions, webhooks or quotas; False: nothing to do. Raises what it says."""
        with self._transaction() as tx:
            if isinstance(change, SetQuota | ClearQuota):
                return change_quota(change, tx.connection)
            if isinstance(change, WebhookChange):
                done, act = change_webhooks(change, tx.connection), act_of_webhook(change, by)
            else:
                done, act = carry_out(change, tx.connection), act_of_change(change, by)
            if done and act is not None:
                append_act(tx.connection, act)
            return done

    def hold_queue(self, change: QueueChange) -> tuple[bool, Committed]:
        """Hold the queue or let it go, and the event that tells of it; False: it is so already."""
        with self._transaction() as tx:
            if not change_queue(change, tx.connection):
                return False, Committed()
            return True, tx.announce(_told(change))

    def go_on(self, change: GoOn) -> tuple[bool, Committed]:
        """See GoOn: what is set aside is extended, or the end asked for, and the job's events tell of it."""
        with self._transaction() as tx:
            try:
                job = tx.state(canonical_id(change.job_id) or "")
            except JobNotFound:
                return False, Committed()
            if job.final is not None or job.cancel_requested:
                return False, Committed()
            found = self._money.go_on(tx.connection, job, change)
            events = [_alert(job.id, level, change.at) for level in found.nearly_used]
            if found.out_of_budget is not None:
                events.append(EventFactory(job.id).ended_early(why=found.out_of_budget, user=SYSTEM, at=change.at))
            if found.refused_by is not None:
                why = stopped(found.refused_by)
                events.append(_alert(job.id, found.refused_by, change.at, is_used_up=True))
                events.append(EventFactory(job.id).stopped(why=why, user=SYSTEM, at=change.at))
            return found.needed, tx.commit(events) if events else Committed()

    def create(self, new: NewJob) -> tuple[Created, Committed]:
        """Make a job, or find the one that an earlier call with the same id or Idempotency-Key made.

        Raises:
            IdempotencyConflict: the key came before with another body.
            InvalidInput: `job_id` is no UUID.
            JobNotFound: the job with this id has been deleted.
            QuotaExceeded, SpendExceeded: its user or team would have more than they may.
        """
        if canonical_id(new.job_id) != new.job_id:
            raise InvalidInput.field("job_id", f"{new.job_id!r} is not a UUID")
        factory = EventFactory(new.job_id)
        event = factory.created(
            new.spec,
            user=new.user,
            at=new.at,
            team=new.team,
            retry_of=new.retry_of,
            resume_from=new.resume_from,
            parent_id=new.parent_id,
            traceparent=new.traceparent,
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
            return self._admitted(tx, new, committed)

    def _admitted(self, tx: Transaction, new: NewJob, committed: Committed) -> tuple[Created, Committed]:
        """Set its money aside; where that brings a quota near its end, an event of the job says so."""
        job = committed.jobs[new.job_id]
        if new.runs_already:
            return Created(job=job, is_new=True), committed
        levels = self._money.admit(tx.connection, job, _parent(tx, new))
        if not levels:
            return Created(job=job, is_new=True), committed
        told = tx.commit([_alert(job.id, level, new.at) for level in levels])
        events = (*committed.events, *told.events)
        jobs = {**committed.jobs, **told.jobs}
        made = Created(job=jobs[job.id], is_new=True, nearly_used=tuple(levels))
        return made, Committed(events=events, direct=len(events), jobs=jobs)

    def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """Replace the places of all waiting jobs; only rows that change are written."""
        with self._transaction() as tx:
            tx.set_queue(places)

    def delete(self, job_id: str) -> Committed:
        """Remove a job's rows and leave a tombstone event. Unknown and deleted jobs are no error."""
        known = canonical_id(job_id)
        if known is None:
            return Committed()
        at = datetime.now(UTC)
        with self._transaction() as tx:
            with suppress(JobNotFound):
                self._money.forget(tx.connection, tx.state(known), at=at)
            return tx.delete(known, at)

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
            action = "model.set_alias" if version is not None else "model.remove_alias"
            detail = {"user": user, "alias": alias} | ({} if version is None else {"version": version})
            append_act(tx.connection, Act(actor=by, action=action, target=model, at=at, detail=detail))

    def note_version(self, *, user: str, model: str, version: int, notes: str) -> None:
        """See `versions.note_version`."""
        with self._transaction() as tx:
            versions.note_version(tx.connection, user=user, model=model, version=version, notes=notes)

    def delete_version(self, *, user: str, model: str, version: int, by: str | None = None) -> None:
        """See `versions.delete_version`; `by`: who wants it, the model's user where it is left out."""
        detail = {"user": user, "version": version}
        at = datetime.now(UTC)
        with self._transaction() as tx:
            if versions.delete_version(tx.connection, user=user, model=model, version=version):
                act = Act(actor=by or user, action="model.delete_version", target=model, at=at, detail=detail)
                append_act(tx.connection, act)

    def latest_event_id(self) -> int:
        """The id of the newest event of this writer's jobs or a later one, 0 where there is none.

        The first call takes over from whoever wrote before.
        """
        with store_errors(), self._engine.begin() as connection:
            newest = (self._turns.newest if self._has_claimed else self._turns.claim)(connection)
        self._has_claimed = True
        return newest

    def close(self) -> None:
        """Close the engine's connections; it can still be used afterwards."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, shared: bool = False) -> Iterator[Transaction]:
        with store_errors(), self._engine.begin() as connection:
            last_id = self.found_id = self._turns.begin(connection, shared=shared)
            if last_id != self._last_id:
                # the first transaction, or another writer's, or one of ours whose answer was lost
                self._cache.clear()
            tx = Transaction(connection, BulkWriter(connection), self._cache, self._turns, last_id)
            yield tx
            if tx.last_id != last_id:
                self._turns.end(connection, tx.last_id)
        # Only what is in the database is remembered: a failure does not come so far.
        self._last_id = tx.last_id
        self._cache.put(tx.changed)
        for job_id in tx.deleted:
            self._cache.drop(job_id)


def _told(change: QueueChange) -> JobEvent:
    is_paused = isinstance(change, PauseQueue)
    reason = clean_text(change.reason) if isinstance(change, PauseQueue) else ""
    return EventFactory.queue(paused=is_paused, by=clean_text(change.by), at=change.at, reason=reason)


def _parent(tx: Transaction, new: NewJob) -> JobState | None:
    """The job that a new one is a part of; None also where that is gone."""
    if new.parent_id is None:
        return None
    with suppress(JobNotFound):
        return tx.state(canonical_id(new.parent_id) or "")
    return None


def _alert(job_id: str, level: Level, at: datetime, *, is_used_up: bool = False) -> JobEvent:
    rule = f"quota {level.what.value} of {level.holder}"
    if is_used_up:
        rule, message = f"no {rule} is left", stopped(level)
    else:
        message = sentence(level)
    return EventFactory(job_id).alert(rule=rule[:200], message=message, job_ids=[job_id], at=at)
