"""Webhooks and their messages, to be read; and the part of the event log that is told to them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from thornback.errors import InvalidInput, NotFound
from thornback.jobs.events import EventKind
from thornback.jobs.state import JobState
from thornback.jobs.subscriptions import Message, MessageState, Webhook
from thornback.store.admit import clean_text
from thornback.store.cells import MAX_BIG_INT
from thornback.store.guard import store_errors
from thornback.store.page import MAX_LIMIT
from thornback.store.state_codec import decode_state
from thornback.store.tables import JobEventRow, TrainingJob
from thornback.store.tables_notify import WebhookMessageRow, WebhookRow
from thornback.store.turns import settled_id
from thornback.store.webhook_changes import read_cursor
from thornback.store.webhook_rows import read_message, read_webhook

_webhooks = WebhookRow.__table__  # type: ignore[attr-defined]
_messages = WebhookMessageRow.__table__  # type: ignore[attr-defined]
_events = JobEventRow.__table__  # type: ignore[attr-defined]
_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

_WAITING = MessageState.WAITING.value
_IN_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event of the log."""

    id: int
    job_id: str
    kind: EventKind
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """Some of the messages, the newest first."""

    messages: tuple[Message, ...]
    next_cursor: str | None  # None on the last page


class WebhookReader:
    """Safe to use from many threads. Every method raises StoreUnavailable where the database does not answer."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def webhooks(self, user: str | None = None) -> list[Webhook]:
        """Of a user or of all, the oldest first."""
        statement = sa.select(_webhooks).order_by(_webhooks.c.created_at, _webhooks.c.id)
        if user is not None:
            statement = statement.where(_webhooks.c.user == clean_text(user))
        with self._connected() as connection:
            return [read_webhook(row) for row in connection.execute(statement)]

    def webhook(self, id: str) -> Webhook:
        """Raises NotFound."""
        with self._connected() as connection:
            row = connection.execute(sa.select(_webhooks).where(_webhooks.c.id == clean_text(id))).first()
        if row is None:
            raise NotFound(f"there is no webhook {id}")
        return read_webhook(row)

    def messages(
        self, webhook_id: str, *, state: MessageState | None = None, limit: int = 50, cursor: str | None = None
    ) -> MessagePage:
        """Raises InvalidInput for a damaged cursor or a limit outside 1 to 1000."""
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidInput.field("limit", f"must be 1 to {MAX_LIMIT}")
        statement = sa.select(_messages).where(_messages.c.webhook_id == clean_text(webhook_id))
        if state is not None:
            statement = statement.where(_messages.c.state == state.value)
        if cursor is not None:
            statement = statement.where(_messages.c.id < _place(cursor))
        with self._connected() as connection:
            rows = connection.execute(statement.order_by(_messages.c.id.desc()).limit(limit + 1)).all()
        more = len(rows) > limit
        kept = tuple(read_message(row) for row in rows[:limit])
        return MessagePage(messages=kept, next_cursor=str(kept[-1].id) if more else None)

    def message(self, webhook_id: str, id: int) -> Message:
        """Raises NotFound."""
        chosen = (_messages.c.id == min(max(id, 0), MAX_BIG_INT), _messages.c.webhook_id == clean_text(webhook_id))
        with self._connected() as connection:
            row = connection.execute(sa.select(_messages).where(*chosen)).first()
        if row is None:
            raise NotFound(f"there is no message {id} of webhook {webhook_id}")
        return read_message(row)

    def find(self, webhook_id: str, event_id: str) -> Message | None:
        """The message of an event, None where there is none."""
        chosen = (_messages.c.webhook_id == webhook_id, _messages.c.event_id == event_id)
        with self._connected() as connection:
            row = connection.execute(sa.select(_messages).where(*chosen)).first()
        return None if row is None else read_message(row)

    def count(self, webhook_id: str) -> dict[MessageState, int]:
        """How many messages there are in each state."""
        query = sa.select(_messages.c.state, sa.func.count()).where(_messages.c.webhook_id == webhook_id)
        with self._connected() as connection:
            rows = connection.execute(query.group_by(_messages.c.state)).all()
        return {MessageState(state): count for state, count in rows}

    def replayable(self, webhook_id: str, *, since: datetime, dead_only: bool) -> int:
        """How many messages a Replay would send again."""
        states = [MessageState.DEAD.value] + ([] if dead_only else [MessageState.DELIVERED.value])
        chosen = (
            _messages.c.webhook_id == webhook_id,
            _messages.c.state.in_(states),
            _messages.c.created_at >= since,
        )
        with self._connected() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(*chosen)).scalar_one())

    # What the sender asks

    def due(self, webhook_id: str, now: datetime, *, limit: int) -> list[Message]:
        """Messages whose time has come, the longest overdue first."""
        chosen = (
            _messages.c.state == _WAITING,
            _messages.c.webhook_id == webhook_id,
            _messages.c.due_at <= now,
        )
        statement = sa.select(_messages).where(*chosen).order_by(_messages.c.due_at, _messages.c.id).limit(limit)
        with self._connected() as connection:
            return [read_message(row) for row in connection.execute(statement)]

    def next_due(self) -> dict[str, datetime]:
        """When the first waiting message of each webhook is due."""
        query = sa.select(_messages.c.webhook_id, sa.func.min(_messages.c.due_at).label("due"))
        with self._connected() as connection:
            rows = connection.execute(query.where(_messages.c.state == _WAITING).group_by(_messages.c.webhook_id))
            return {row.webhook_id: row.due for row in rows}

    def cursor(self) -> int | None:
        """How far the log was read for messages, None before the first time."""
        with self._connected() as connection:
            return read_cursor(connection)

    def happened(self, after: int, kinds: Collection[EventKind], *, limit: int) -> tuple[list[Happening], int]:
        """Events of some kinds after a cursor, in order, and the cursor to go on from."""
        newest = self.newest_event()
        with self._connected() as connection:
            chosen = (
                _events.c.id > after,
                _events.c.id <= newest,
                _events.c.kind.in_([kind.value for kind in kinds]),
            )
            columns = (_events.c.id, _events.c.job_id, _events.c.kind, _events.c.data, _events.c.at)
            rows = connection.execute(sa.select(*columns).where(*chosen).order_by(_events.c.id).limit(limit)).all()
        found = [
            Happening(id=row.id, job_id=row.job_id, kind=EventKind(row.kind), data=row.data or {}, at=row.at)
            for row in rows
        ]
        return found, found[-1].id if len(found) == limit else max(newest, after)

    def newest_event(self) -> int:
        """The id up to which all events can be read, 0 where there is none."""
        with self._connected() as connection:
            return settled_id(connection)

    def jobs(self, ids: Sequence[str]) -> dict[str, JobState]:
        """Those of the jobs that exist."""
        found: dict[str, JobState] = {}
        with self._connected() as connection:
            for start in range(0, len(ids), _IN_CHUNK):
                chosen = _jobs.c.id.in_(ids[start : start + _IN_CHUNK])
                for data in connection.execute(sa.select(_jobs.c.state).where(chosen)).scalars():
                    state = decode_state(data)
                    found[state.id] = state
        return found

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with store_errors(), self._engine.connect() as connection:
            yield connection


def _place(cursor: str) -> int:
    try:
        return min(max(int(cursor), 0), MAX_BIG_INT)
    except ValueError:
        raise InvalidInput.field("cursor", "is damaged; start again without one") from None
