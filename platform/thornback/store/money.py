"""Money inside the writer's transactions: set aside as a job is made, settled as it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Self

import sqlalchemy as sa

from thornback.jobs.events import EventKind
from thornback.jobs.items import ItemStatus
from thornback.jobs.state import JobState
from thornback.metrics.port import StreamEvent
from thornback.providers.catalogue import Catalogue, load_catalogue
from thornback.settings import Settings
from thornback.spend.prices import Amount, Tariff
from thornback.spend.quotas import GoOn, Holder, Level, blocked, check, warnings
from thornback.store.budget import draw, give_back, left_for, spent
from thornback.store.demand import actual, estimate, is_told, used_by_then
from thornback.store.ledger import Balance, balance, book, forget_size, note_size
from thornback.store.quotas import levels_of
from thornback.store.tables import JobItem
from thornback.store.trials import SWEEP, has_others

_items = JobItem.__table__  # type: ignore[attr-defined]
_STORES = (EventKind.ARTIFACT, EventKind.ITEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What became of a run that needs more than was set aside."""

    needed: bool = False
    refused_by: Level | None = None  # the limit that leaves nothing
    out_of_budget: str | None = None  # why the trial of a sweep is ended, in words
    nearly_used: Sequence[Level] = ()  # limits that it brings to the share of the warning


class Money:
    """What the writer does about money; the lock of its transaction makes every decision the only one."""

    def __init__(self, tariff: Tariff, catalogue: Callable[[], Catalogue]) -> None:
        """`catalogue` is asked for when the first order is priced; it may raise SettingsError."""
        self._tariff, self._catalogue = tariff, cache(catalogue)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings have it."""
        return cls(Tariff.of(settings), lambda: load_catalogue(settings))

    @classmethod
    def plain(cls) -> Self:
        """Nothing is limited, our own machines cost nothing, orders cost what the built-in catalogue says."""
        return cls(Tariff(), lambda: load_catalogue(Settings(catalogue=None)))

    def admit(self, connection: sa.Connection, job: JobState, parent: JobState | None) -> Sequence[Level]:
        """Set aside what a new job will cost; its row is there already. Returns limits that are nearly reached.

        What was set aside for a job of several steps passes on to its part, and counts when that was admitted.

        Raises:
            SpendExceeded, QuotaExceeded: somebody would have more than they may; the transaction must not go on.
            BudgetSpent: the sweep that it is a trial of would.
        """
        at = job.created_at
        assert at is not None  # noqa: S101 - by its first event
        amount = estimate(job, self._tariff, self._catalogue, connection)
        is_trial = parent is not None and parent.kind == SWEEP
        booked_at = self._booked_at(connection, job, parent, amount, at)
        # A sweep counts as many jobs as it has trials at once.
        is_part = job.parent_id is not None and not (is_trial and has_others(connection, job))
        found = self._levels(connection, job, booked_at)
        check(found, amount, is_part=is_part, at=at)
        book(connection, job, "reserved", amount, at=at, booked_at=booked_at)
        return warnings(found, amount, share=self._tariff.warn_share, is_part=is_part)

    def _booked_at(
        self, connection: sa.Connection, job: JobState, parent: JobState | None, amount: Amount, at: datetime
    ) -> datetime:
        """When the rows of a new job are booked; what was set aside for its whole is its own then."""
        if parent is None:
            return at
        if parent.kind == SWEEP:
            return draw(connection, parent, job, amount, at=at)
        return self._pass_on(connection, job, parent, at)

    def _pass_on(self, connection: sa.Connection, job: JobState, parent: JobState, at: datetime) -> datetime:
        held = balance(connection, parent.id)
        booked_at = held.booked_at or parent.created_at or at
        if parent.final is None:
            back = held.given_back(f"passed on to its part {job.id}")
            book(connection, parent, "released", back, at=at, booked_at=booked_at)
        return booked_at

    def follow(self, connection: sa.Connection, jobs: Mapping[str, JobState], events: Sequence[StreamEvent]) -> None:
        """After a commit: settle the jobs that have ended, and add up what others have stored."""
        ended = {event.job_id for event in events if event.kind.is_final}
        told = {event.job_id for event in events if event.kind is EventKind.DESCRIBED} - ended
        for job_id in sorted((ended | told) & jobs.keys()):
            job = jobs[job_id]
            # Prices may have changed since the end; only the provider can say more of what it cost.
            if job.final is not None and (job_id in ended or is_told(job)):
                self._settle(connection, job)
        for job_id in {event.job_id for event in events if event.kind in _STORES} & jobs.keys():
            note_size(connection, jobs[job_id], _size(connection, jobs[job_id]))

    def go_on(self, connection: sa.Connection, job: JobState, change: GoOn) -> Extension:
        """Set more aside for a run of our own that is about to use up what it has; writes nothing where it refuses."""
        held = balance(connection, job.id)
        least, most = (
            _beyond(held, used_by_then(job, self._tariff, change.at + span))
            for span in (change.ahead, change.ahead + change.step)
        )
        if not least.micro_usd and not least.gpu_ms:
            return Extension()
        booked_at = held.booked_at or job.created_at or change.at
        found, lent = self._levels(connection, job, booked_at, now=change.at), left_for(connection, job)
        if lent is not None and least.micro_usd > lent:
            return Extension(needed=True, out_of_budget=spent(lent))
        blocking = blocked(found, _without(least, lent))
        if blocking is not None and not change.may_exceed:
            return Extension(needed=True, refused_by=blocking)
        fits = blocked(found, _without(most, lent)) is None and (lent is None or most.micro_usd <= lent)
        more = most if fits else least
        book(connection, job, "reserved", more, at=change.at, booked_at=booked_at)
        give_back(connection, job, -more.micro_usd, at=change.at)
        nearly = warnings(found, _without(more, lent), share=self._tariff.warn_share, is_part=True)
        return Extension(needed=True, nearly_used=tuple(nearly))

    def _levels(
        self, connection: sa.Connection, job: JobState, at: datetime, *, now: datetime | None = None
    ) -> list[Level]:
        return [
            level
            for holder in _holders(job)
            for level in levels_of(connection, self._tariff, holder, at=at, now=now, without_job=job.id)
        ]

    def forget(self, connection: sa.Connection, job: JobState, *, at: datetime) -> None:
        """A job is being deleted: what it has cost stays in the ledger, what was only set aside does not."""
        forget_size(connection, job.id)
        held = balance(connection, job.id)
        if job.final is None and held.booked_at is not None:
            back = held.given_back("deleted before its end")
            book(connection, job, "released", back, at=at, booked_at=held.booked_at)
            give_back(connection, job, held.micro_usd, at=at)

    def _settle(self, connection: sa.Connection, job: JobState) -> None:
        """Make the sum of a job's rows what it has cost; what is told after its end corrects that."""
        held = balance(connection, job.id)
        cost = actual(job, self._tariff, held.reserved_micro)
        at = job.completed_at or job.created_at
        assert at is not None  # noqa: S101 - it has ended
        booked_at = held.booked_at or job.created_at or at
        if held.is_settled:
            more = replace(cost, micro_usd=cost.micro_usd - held.micro_usd, gpu_ms=cost.gpu_ms - held.gpu_ms)
            book(connection, job, "corrected", more, at=at, booked_at=booked_at)
            give_back(connection, job, -more.micro_usd, at=at)
            return
        book(connection, job, "released", held.given_back(f"the job is {job.final}"), at=at, booked_at=booked_at)
        book(connection, job, "charged", cost, at=at, booked_at=booked_at)
        give_back(connection, job, held.micro_usd - cost.micro_usd, at=at)


def _beyond(held: Balance, used: Amount) -> Amount:
    return Amount(
        micro_usd=max(0, used.micro_usd - held.micro_usd),
        gpu_ms=max(0, used.gpu_ms - held.gpu_ms),
        basis=f"it goes on: {used.basis}",
    )


def _without(more: Amount, lent: int | None) -> Amount:
    """What of it is new; the rest was set aside for its sweep."""
    return replace(more, micro_usd=max(0, more.micro_usd - (lent or 0)))


def _holders(job: JobState) -> list[Holder]:
    mine = [Holder("user", job.user)]
    return mine if job.team is None else [*mine, Holder("team", job.team)]


def _size(connection: sa.Connection, job: JobState) -> int:
    stored = sa.select(sa.func.sum(_items.c.size_bytes)).where(
        _items.c.job_id == job.id, _items.c.status == ItemStatus.STORED.value
    )
    items = int(connection.execute(stored).scalar_one() or 0)
    # A file that is an item of the job and an artifact of it as well is counted once.
    files = {artifact.uri: artifact.size_bytes or 0 for artifact in job.artifacts.values()}
    uris = sa.select(_items.c.uri).where(_items.c.job_id == job.id, _items.c.uri.is_not(None))
    known = set(connection.execute(uris).scalars()) if items and files else set()
    return items + sum(size for uri, size in files.items() if uri not in known)
