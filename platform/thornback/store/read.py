"""Every query. Readers never write and never wait for the writer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from thornback.errors import JobNotFound
from thornback.jobs.events import EventKind
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.pace import PastRun
from thornback.jobs.queue import QueueHold
from thornback.jobs.state import PHASE_SCHEDULED, JobState
from thornback.jobs.versions import ModelVersion
from thornback.metrics.port import QueuePlace, StreamEvent
from thornback.store.columns import canonical_id
from thornback.store.durations import read_durations, read_own_runs
from thornback.store.guard import store_errors
from thornback.store.inbox import (
    DeliveryPage,
    DeliveryRow,
    DeliveryState,
    read_deliveries,
    read_delivery,
    read_newest_delivery,
)
from thornback.store.items import read_item_counts, read_items, read_open_orders, read_order
from thornback.store.ledger import Balance, held_by
from thornback.store.metric_rows import METRIC_ROW, Level, metric_row, rows_of, values_of
from thornback.store.page import JobPage, JobQuery, JobRow, Order, conditions
from thornback.store.queue import read_hold, waiting_jobs
from thornback.store.rows import LOG_FIELDS, LogChunk, MetricRow
from thornback.store.state_codec import decode_state
from thornback.store.tables import JobEventRow, JobLog, TrainingJob, TrainingMetric
from thornback.store.teams import read_teams_of
from thornback.store.thinned import read_drawn
from thornback.store.turns import newest_id, settled_id
from thornback.store.versions import read_kept_versions

__all__ = ["DeliveryPage", "DeliveryRow", "JobPage", "JobQuery", "JobRow", "LogChunk", "MetricRow", "StoreReader"]

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]
_events = JobEventRow.__table__  # type: ignore[attr-defined]
_metrics = TrainingMetric.__table__  # type: ignore[attr-defined]
_logs = JobLog.__table__  # type: ignore[attr-defined]

_JOB_ROW = (_jobs.c.id, _jobs.c.state, _jobs.c.queue_position, _jobs.c.queue_reason)
_LOG_ROW = tuple(_logs.c[name] for name in LOG_FIELDS)
_IN_CHUNK = 500


class StoreReader:
    """Reads jobs, metrics, logs and events. Safe to use from many threads.

    Every method raises StoreUnavailable where the database does not answer.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> sa.Engine:
        """For questions that have a module of their own."""
        return self._engine

    def ping(self) -> None:
        """Raises StoreUnavailable where the database is away or has no tables yet."""
        with self._snapshot() as connection:
            connection.execute(sa.select(_jobs.c.id).limit(1)).first()

    def job(self, job_id: str) -> JobRow:
        """One job. Raises JobNotFound."""
        with self._snapshot() as connection:
            row = connection.execute(sa.select(*_JOB_ROW).where(_jobs.c.id == _known(job_id))).first()
        if row is None:
            raise JobNotFound(job_id)
        return _job_row(row)

    def jobs(self, query: JobQuery) -> JobPage:
        """A page of the list. Raises InvalidInput for an unknown sort or a damaged cursor."""
        order = Order.parse(query.sort)
        filters = conditions(query)
        statement = sa.select(*_JOB_ROW, order.column.label("place")).where(*filters).order_by(*order.clauses())
        if query.cursor is None:
            statement = statement.offset(query.offset)
        else:
            statement = statement.where(order.beyond(query.cursor))
        with self._snapshot() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(_jobs).where(*filters)).scalar_one()
            rows = connection.execute(statement.limit(query.limit + 1)).all()
            parts = _parts_of(connection, [row.id for row in rows[: query.limit]])
        more = len(rows) > query.limit > 0
        rows = rows[: query.limit]
        return JobPage(
            jobs=tuple(_job_row(row) for row in rows),
            total=total,
            next_cursor=order.cursor(rows[-1].place, rows[-1].id) if more else None,
            parts=parts,
        )

    def active(self) -> list[JobState]:
        """Jobs that the dispatcher has to look after: not final, or final and to be deleted; oldest first."""
        statement = sa.select(_jobs.c.state).where(_jobs.c.is_active).order_by(_jobs.c.created_at, _jobs.c.id)
        with self._snapshot() as connection:
            return [decode_state(data) for data in connection.execute(statement).scalars()]

    def held(self, job_ids: Sequence[str]) -> Mapping[str, Balance]:
        """What is set aside for each of these jobs."""
        with self._snapshot() as connection:
            return held_by(connection, job_ids)

    def queue_hold(self) -> QueueHold | None:
        """Who holds the queue, None where it goes on."""
        with self._snapshot() as connection:
            return read_hold(connection)

    def queue(self, *, limit: int = 1000) -> list[JobRow]:
        """Jobs that wait to be started, of all backends, by their place; those without one yet come last."""
        with self._snapshot() as connection:
            rows = [_job_row(row) for row in connection.execute(waiting_jobs(_JOB_ROW, _bounded(limit)))]
        return [row for row in rows if row.state.mark.phase < PHASE_SCHEDULED and not row.state.is_parked]

    def parts(self, job_id: str) -> list[JobState]:
        """The jobs that are parts of this one, oldest first; none for an unknown job."""
        statement = sa.select(_jobs.c.state).where(_jobs.c.parent_id == _known(job_id))
        with self._snapshot() as connection:
            found = connection.execute(statement.order_by(_jobs.c.created_at, _jobs.c.id)).scalars()
            return [decode_state(data) for data in found]

    def naming(self, text: str) -> list[JobState]:
        """The jobs whose configuration holds this text, in whichever field; oldest first."""
        holds = sa.cast(_jobs.c.config, sa.Text).contains(text, autoescape=True)
        with self._snapshot() as connection:
            found = connection.execute(sa.select(_jobs.c.state).where(holds).order_by(_jobs.c.created_at, _jobs.c.id))
            return [decode_state(data) for data in found.scalars()]

    def metrics(
        self,
        job_id: str,
        *,
        limit: int = 1000,
        level: Level = "epoch",
        phase: str | None = None,
        after_id: int | None = None,
    ) -> list[MetricRow]:
        """Rows in ascending order: the newest `limit`, or with `after_id` the next `limit` after it.

        Args:
            job_id: raises JobNotFound where there is no such job.
            limit: at most so many rows.
            level: the epochs' own rows, the rows of steps inside them, or both.
            phase: train, val or test.
            after_id: `MetricRow.id` of the last row that the caller has.
        """
        known = _known(job_id)
        statement = sa.select(*METRIC_ROW).where(*rows_of(known, level=level, phase=phase)).limit(_bounded(limit))
        with self._snapshot() as connection:
            rows = _window(connection, statement, _metrics.c.event_id, after_id)
            if not rows:
                _must_exist(connection, known)
        return [metric_row(known, row) for row in rows]

    def drawn_metrics(
        self,
        job_id: str,
        *,
        most: int,
        level: Level = "epoch",
        phase: str | None = None,
        after_id: int | None = None,
        before_id: int | None = None,
    ) -> tuple[list[MetricRow], bool]:
        """At most `most` rows that draw the same curves as all between two events; True where there are more.

        Raises JobNotFound. See `thinned.thin` for which rows stay.
        """
        known = _known(job_id)
        span = _bounded(after_id or 0), 2**63 - 1 if before_id is None else _bounded(before_id)
        with self._snapshot() as connection:
            rows, is_thinned = read_drawn(connection, known, most=most, level=level, phase=phase, span=span)
            if not rows:
                _must_exist(connection, known)
        return rows, is_thinned

    def logs(self, job_id: str, *, after: int = 0, limit: int = 1000, tail: int | None = None) -> list[LogChunk]:
        """Log chunks in ascending order. Raises JobNotFound.

        Args:
            job_id: whose.
            after: `LogChunk.id` of the last chunk that the caller has.
            limit: at most so many chunks.
            tail: only the last so many lines; the first chunk may be cut.
        """
        known = _known(job_id)
        columns = (_logs.c.event_id, _logs.c.at, *_LOG_ROW)
        statement = sa.select(*columns).where(_logs.c.job_id == known, _logs.c.event_id > _bounded(after))
        with self._snapshot() as connection:
            if tail is None:
                rows = connection.execute(statement.order_by(_logs.c.event_id).limit(_bounded(limit))).all()
            else:
                # each chunk has a line at least
                newest = statement.order_by(_logs.c.event_id.desc()).limit(_bounded(min(limit, tail)))
                rows = connection.execute(newest).all()[::-1]
            if not rows:
                _must_exist(connection, known)
        chunks = [_log_chunk(known, row) for row in rows]
        return chunks if tail is None else _last_lines(chunks, tail)

    def events(
        self, after: int, *, job_id: str | None = None, until: int | None = None, limit: int = 1000
    ) -> list[StreamEvent]:
        """Events with ids above `after`, in order: what live subscribers were given, except `job`.

        A deleted job's events are gone but for its tombstone. Without a job, ask for those up to
        `latest_event_id` only: above it some may still be missing.

        Args:
            after: the cursor; 0 for all.
            job_id: only this job's. Raises JobNotFound where it is no UUID; an unknown job has none.
            until: the last id wanted.
            limit: at most so many.
        """
        conditions = [_events.c.id > _bounded(after)]
        if job_id is not None:
            conditions.append(_events.c.job_id == _known(job_id))
        if until is not None:
            conditions.append(_events.c.id <= _bounded(until))
        statement = _EVENTS.where(*conditions).order_by(_events.c.id).limit(_bounded(limit))
        with self._snapshot() as connection:
            return [_stream_event(row) for row in connection.execute(statement)]

    def items(self, job_id: str) -> list[ItemState]:
        """A job's items by number; none where nothing was ordered yet. Raises JobNotFound."""
        known = _known(job_id)
        with self._snapshot() as connection:
            found = read_items(connection, known)
            if not found:
                _must_exist(connection, known)
        return found

    def item_counts(self, job_ids: Sequence[str]) -> dict[str, dict[tuple[ItemStatus, int], int]]:
        """For each of some jobs: how many of its items have a status, by the number of their newest order."""
        with self._snapshot() as connection:
            return read_item_counts(connection, job_ids)

    def order(self, provider: str, provider_id: str) -> ItemState | None:
        """The order that a provider knows by this id, an item's newest or an older one.

        `ItemState.order` is that order's own number, and the rest is what became of that order. None
        where no job is known to have it.
        """
        with self._snapshot() as connection:
            return read_order(connection, provider, provider_id)

    def open_orders(self, provider: str) -> list[ItemState]:
        """Newest orders of jobs that have not ended: those that the provider has not ended, and those
        whose files are not in our storage yet; the oldest job first, then by item.
        """
        with self._snapshot() as connection:
            return read_open_orders(connection, provider)

    def deliveries(
        self,
        *,
        state: DeliveryState | None = None,
        provider: str | None = None,
        job_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DeliveryPage:
        """Received webhooks, the newest first, without their bodies.

        Args:
            state: applied or dead; None for both.
            provider: only this one's.
            job_id: only this job's; one that was deleted still has its deliveries.
            limit: at most so many, up to 1000.
            cursor: `next_cursor` of the page before. Raises InvalidInput where it is damaged.
        """
        with self._snapshot() as connection:
            return read_deliveries(
                connection, state=state, provider=provider, job_id=job_id, limit=limit, cursor=cursor
            )

    def delivery(self, delivery_id: int) -> DeliveryRow:
        """One received webhook with its body. Raises NotFound."""
        with self._snapshot() as connection:
            return read_delivery(connection, delivery_id)

    def newest_delivery(self, provider: str, provider_id: str) -> DeliveryRow | None:
        """The applied webhook about this id that came last, with its body."""
        with self._snapshot() as connection:
            return read_newest_delivery(connection, provider, provider_id)

    def durations(self, provider: str, trainer: str, *, limit: int = 50) -> list[tuple[int, float]]:
        """(steps, seconds) of trainings that this trainer completed, the newest first.

        Seconds are those on the provider's machine or, where it does not tell them, from order to end.
        """
        with self._snapshot() as connection:
            return read_durations(connection, provider, trainer, limit=_bounded(limit))

    def own_runs(self, kind: str, backend: str, *, limit: int = 200) -> list[PastRun]:
        """What completed jobs of this kind took, the newest first."""
        with self._snapshot() as connection:
            return read_own_runs(connection, kind, backend, limit=_bounded(limit))

    def kept_versions(self, job_id: str) -> tuple[ModelVersion, ...]:
        """The model versions of a job that stay when it is deleted: an alias points at them, or a job names them."""
        with self._snapshot() as connection:
            return read_kept_versions(connection, job_id)

    def owners_of(self, job_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """The user and the team of each of some jobs; unknown ones are left out."""
        wanted = sorted({known for id in job_ids if (known := canonical_id(id)) is not None})
        found: dict[str, tuple[str, str | None]] = {}
        with self._snapshot() as connection:
            for start in range(0, len(wanted), _IN_CHUNK):
                chunk = _jobs.c.id.in_(wanted[start : start + _IN_CHUNK])
                rows = connection.execute(sa.select(_jobs.c.id, _jobs.c.user, _jobs.c.team).where(chunk))
                found |= {row.id: (row.user, row.team) for row in rows}
        return found

    def teams_of(self, user: str) -> tuple[str, ...]:
        """The ids of a user's teams, sorted; none for an unknown user."""
        with self._snapshot() as connection:
            return read_teams_of(connection, user)

    def latest_event_id(self) -> int:
        """The id up to which all events can be read: none will appear below it any more. 0 where there is none."""
        with self._snapshot() as connection:
            return settled_id(connection)

    def has_reached(self, cursor: int) -> bool:
        """Whether there was an event of this id, or one after it; of one that comes first in its job, maybe not yet
        in the order of all.
        """
        with self._snapshot() as connection:
            return cursor <= newest_id(connection)

    def states(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """Those of the jobs that exist."""
        wanted = sorted({known for id in job_ids if (known := canonical_id(id)) is not None})
        found: dict[str, JobState] = {}
        with self._snapshot() as connection:
            for start in range(0, len(wanted), _IN_CHUNK):
                chosen = _jobs.c.id.in_(wanted[start : start + _IN_CHUNK])
                for data in connection.execute(sa.select(_jobs.c.state).where(chosen)).scalars():
                    state = decode_state(data)
                    found[state.id] = state
        return found

    def close(self) -> None:
        """Close the engine's connections; it can still be used afterwards."""
        self._engine.dispose()

    @contextmanager
    def _snapshot(self) -> Iterator[sa.Connection]:
        with store_errors(), self._engine.connect() as connection:
            yield connection


_EVENTS = sa.select(
    _events.c.id,
    _events.c.job_id,
    _events.c.kind,
    _events.c.data,
    _events.c.at,
    _metrics.c.event_id.label("metric"),
    *METRIC_ROW[1:4],
    *METRIC_ROW[5:],
    _logs.c.event_id.label("log"),
    *_LOG_ROW,
).select_from(
    _events.outerjoin(
        _metrics,
        sa.and_(
            _events.c.kind == EventKind.METRICS.value,
            _metrics.c.training_job_id == _events.c.job_id,
            _metrics.c.event_id == _events.c.id,
        ),
    ).outerjoin(_logs, sa.and_(_events.c.kind == EventKind.LOG.value, _logs.c.event_id == _events.c.id))
)


def _known(job_id: str) -> str:
    canonical = canonical_id(job_id)
    if canonical is None:
        raise JobNotFound(job_id)
    return canonical


def _bounded(number: int) -> int:
    """A client's number as one that both databases take."""
    return min(max(number, 0), 2**63 - 1)


def _must_exist(connection: sa.Connection, job_id: str) -> None:
    if connection.execute(sa.select(_jobs.c.id).where(_jobs.c.id == job_id)).first() is None:
        raise JobNotFound(job_id)


def _parts_of(connection: sa.Connection, job_ids: Sequence[str]) -> dict[str, int]:
    parent = _jobs.c.parent_id
    counted = sa.select(parent, sa.func.count()).where(parent.in_(job_ids)).group_by(parent)
    return {row[0]: row[1] for row in connection.execute(counted)}


def _window(
    connection: sa.Connection, statement: sa.Select[Any], column: sa.ColumnElement[int], after: int | None
) -> list[sa.Row[Any]]:
    if after is not None:
        return list(connection.execute(statement.where(column > _bounded(after)).order_by(column)).all())
    return list(connection.execute(statement.order_by(column.desc())).all())[::-1]


def _job_row(row: Any) -> JobRow:
    state = decode_state(row.state)
    waits = state.status.is_waiting and row.queue_position is not None
    return JobRow(
        state=state, queue=QueuePlace(position=row.queue_position, reason=row.queue_reason) if waits else None
    )


def _log_chunk(job_id: str, row: Any) -> LogChunk:
    return LogChunk(
        id=row.event_id,
        job_id=job_id,
        attempt=row.attempt,
        restart=row.restart,
        rank=row.rank,
        seq=row.seq,
        lines=tuple(row.lines),
        at=row.at,
    )


def _last_lines(chunks: list[LogChunk], count: int) -> list[LogChunk]:
    kept: list[LogChunk] = []
    for chunk in reversed(chunks):
        if count <= 0:
            break
        lines = chunk.lines[-count:]
        count -= len(lines)
        kept.append(chunk if lines == chunk.lines else _cut(chunk, lines))
    return kept[::-1]


def _cut(chunk: LogChunk, lines: tuple[str, ...]) -> LogChunk:
    return LogChunk(
        id=chunk.id,
        job_id=chunk.job_id,
        attempt=chunk.attempt,
        restart=chunk.restart,
        rank=chunk.rank,
        seq=chunk.seq,
        lines=lines,
        at=chunk.at,
    )


def _stream_event(row: Any) -> StreamEvent:
    data = row.data or {}
    if row.metric is not None:
        data = {**data, "epoch": row.epoch, "batch": row.batch, "phase": row.phase, "values": values_of(row)}
    elif row.log is not None:
        data = {**data, **{name: getattr(row, name) for name in LOG_FIELDS}}
    return StreamEvent(id=row.id, job_id=row.job_id, kind=EventKind(row.kind), data=data, at=row.at)
