"""What the writer does to webhooks and their messages inside its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from thornback.errors import NotFound
from thornback.jobs.subscriptions import MessageState, NewMessage
from thornback.jobs.webhook_changes import (
    AddWebhook,
    ChangeWebhook,
    Enqueue,
    PruneMessages,
    RemoveWebhook,
    Replay,
    RotateSecret,
    Settle,
    Settled,
    Standing,
    WebhookChange,
)
from thornback.store.admit import clean_json, clean_text
from thornback.store.tables import JobEventRow, PlatformSetting
from thornback.store.tables_notify import WebhookMessageRow, WebhookRow
from thornback.store.webhook_rows import filter_cell, try_cell

_webhooks = WebhookRow.__table__  # type: ignore[attr-defined]
_messages = WebhookMessageRow.__table__  # type: ignore[attr-defined]
_settings = PlatformSetting.__table__  # type: ignore[attr-defined]
_events = JobEventRow.__table__  # type: ignore[attr-defined]

CURSOR = "notify_cursor"
KEEP_TRIES = 30  # of one message, the newest: three rounds
_IN_CHUNK = 500
_GIVEN_UP = "the webhook was disabled before this could be sent"
_FRESH: Mapping[str, Any] = {"failing_since": None, "failures": 0, "held_until": None}


@singledispatch
def change_webhooks(change: WebhookChange, connection: sa.Connection) -> bool:
    """Make a change; False where there was nothing to do. Raises what the change's class says."""
    raise TypeError(f"{type(change).__name__} is no change")  # pragma: no cover - the types forbid it


def read_cursor(connection: sa.Connection) -> int | None:
    """How far the event log was read, None before the first time."""
    value = connection.execute(sa.select(_settings.c.value).where(_settings.c.name == CURSOR)).scalar_one_or_none()
    return None if value is None else int(value["event_id"])


@change_webhooks.register
def _add(change: AddWebhook, connection: sa.Connection) -> bool:
    made = change.webhook
    if connection.execute(sa.select(_webhooks.c.id).where(_webhooks.c.id == made.id)).first() is not None:
        return True  # the same call again, because its answer was lost: ids are random
    newest = connection.execute(sa.select(sa.func.max(_events.c.id))).scalar_one() or 0
    row = {
        "id": made.id,
        "user": made.user,
        "target": made.target.value,
        "address": made.address,
        "events": [told.value for told in made.events],
        "filter": clean_json(filter_cell(made.filter)),
        "description": clean_text(made.description)[:255],
        "contact": made.contact,
        "secret": made.secret,
        "is_enabled": made.is_enabled,
        "from_event": newest,
        "created_at": made.created_at,
        "failures": 0,
    }
    connection.execute(sa.insert(_webhooks).values(row))
    return True


@change_webhooks.register
def _change(change: ChangeWebhook, connection: sa.Connection) -> bool:
    was_enabled = _enabled(connection, change.id)
    values: dict[str, Any] = {}
    if change.address is not None:
        values |= {"address": change.address, **_FRESH}
    if change.events is not None:
        values["events"] = [told.value for told in change.events]
    if change.filter is not None:
        values["filter"] = clean_json(filter_cell(change.filter))
    if change.description is not None:
        values["description"] = clean_text(change.description)[:255]
    if change.contact is not None:
        values["contact"] = change.contact or None
    if change.is_enabled is True and not was_enabled:
        newest = connection.execute(sa.select(sa.func.max(_events.c.id))).scalar_one() or 0
        values |= {"is_enabled": True, "disabled_at": None, "disabled_reason": None, "from_event": newest, **_FRESH}
    if not values and change.is_enabled in (None, was_enabled):
        return False
    if values:
        connection.execute(sa.update(_webhooks).where(_webhooks.c.id == change.id).values(values))
    if change.is_enabled is False and was_enabled:
        _disable(connection, change.id, change.at, None)
    return True


@change_webhooks.register
def _remove(change: RemoveWebhook, connection: sa.Connection) -> bool:
    connection.execute(sa.delete(_messages).where(_messages.c.webhook_id == change.id))
    return bool(connection.execute(sa.delete(_webhooks).where(_webhooks.c.id == change.id)).rowcount)


@change_webhooks.register
def _rotate(change: RotateSecret, connection: sa.Connection) -> bool:
    row = connection.execute(sa.select(_webhooks.c.secret).where(_webhooks.c.id == change.id)).first()
    if row is None:
        raise NotFound(f"there is no webhook {change.id}")
    if row.secret == change.secret:
        return True
    values = {"secret": change.secret, "old_secret": row.secret, "old_secret_until": change.old_until}
    connection.execute(sa.update(_webhooks).where(_webhooks.c.id == change.id).values(values))
    return True


@change_webhooks.register
def _enqueue(change: Enqueue, connection: sa.Connection) -> bool:
    if change.cursor is not None:
        present = read_cursor(connection)
        if present is not None and present != change.after:
            return False
        _keep_cursor(connection, change.cursor, is_first=present is None)
    _insert(connection, change.messages)
    return True


@change_webhooks.register
def _settle(change: Settle, connection: sa.Connection) -> bool:
    rows = _waiting(connection, [settled.message_id for settled in change.settled])
    updates = [_update(rows[one.message_id], one) for one in change.settled if one.message_id in rows]
    if updates:
        connection.execute(_SETTLE, updates)
    for standing in change.standings:
        _stand(connection, standing)
    _insert(connection, change.notices)
    return bool(updates or change.standings or change.notices)


@change_webhooks.register
def _replay(change: Replay, connection: sa.Connection) -> bool:
    ended = [MessageState.DEAD.value] + ([] if change.dead_only else [MessageState.DELIVERED.value])
    conditions = [_messages.c.webhook_id == change.webhook_id, _messages.c.state.in_(ended)]
    if change.message_id is not None:
        conditions.append(_messages.c.id == change.message_id)
    if change.since is not None:
        conditions.append(_messages.c.created_at >= change.since)
    values = {"state": MessageState.WAITING.value, "due_at": change.at, "ended_at": None, "failures": 0}
    return bool(connection.execute(sa.update(_messages).where(*conditions).values(values)).rowcount)


@change_webhooks.register
def _prune(change: PruneMessages, connection: sa.Connection) -> bool:
    return bool(connection.execute(sa.delete(_messages).where(_messages.c.ended_at < change.before)).rowcount)


def _enabled(connection: sa.Connection, id: str) -> bool:
    row = connection.execute(sa.select(_webhooks.c.is_enabled).where(_webhooks.c.id == id)).first()
    if row is None:
        raise NotFound(f"there is no webhook {id}")
    return bool(row.is_enabled)


def _disable(connection: sa.Connection, id: str, at: datetime, reason: str | None) -> None:
    values = {"is_enabled": False, "disabled_at": at, "disabled_reason": reason}
    connection.execute(sa.update(_webhooks).where(_webhooks.c.id == id).values(values))
    waiting = (
        _messages.c.state == MessageState.WAITING.value,
        _messages.c.webhook_id == id,
        _messages.c.address.is_(None),
    )
    given_up = {"at": at.isoformat(), "status": None, "problem": _GIVEN_UP, "ms": 0.0}
    for row in connection.execute(sa.select(_messages.c.id, _messages.c.tries).where(*waiting)).all():
        dead = {"state": MessageState.DEAD.value, "due_at": None, "ended_at": at, "tries": [*row.tries, given_up]}
        connection.execute(sa.update(_messages).where(_messages.c.id == row.id).values(dead))


def _stand(connection: sa.Connection, standing: Standing) -> None:
    values = {
        "failing_since": standing.failing_since,
        "failures": standing.failures,
        "held_until": standing.held_until,
    }
    if standing.last_ok_at is not None:
        values["last_ok_at"] = standing.last_ok_at
    connection.execute(sa.update(_webhooks).where(_webhooks.c.id == standing.webhook_id).values(values))
    if standing.disable is not None and standing.at is not None:
        _disable(connection, standing.webhook_id, standing.at, standing.disable)


def _waiting(connection: sa.Connection, ids: list[int]) -> dict[int, Any]:
    columns = (_messages.c.id, _messages.c.attempts, _messages.c.tries)
    found: dict[int, Any] = {}
    for start in range(0, len(ids), _IN_CHUNK):
        chosen = _messages.c.id.in_(ids[start : start + _IN_CHUNK])
        query = sa.select(*columns).where(chosen, _messages.c.state == MessageState.WAITING.value)
        found |= {row.id: row for row in connection.execute(query)}
    return found


def _update(row: Any, settled: Settled) -> dict[str, Any]:
    has_ended = settled.state is not MessageState.WAITING
    return {
        "b_id": row.id,
        "state": settled.state.value,
        "due_at": settled.due_at,
        "ended_at": settled.attempt.at if has_ended else None,
        "attempts": row.attempts + 1,
        "failures": settled.failures,
        "tries": clean_json([*row.tries, try_cell(settled.attempt)][-KEEP_TRIES:]),
    }


def _insert(connection: sa.Connection, messages: Iterable[NewMessage]) -> None:
    rows = [_row(message) for message in messages]
    if not rows:
        return
    known = {message["webhook_id"] for message in rows}
    found = connection.execute(sa.select(_webhooks.c.id, _webhooks.c.is_enabled).where(_webhooks.c.id.in_(known)))
    present = {row.id: row.is_enabled for row in found}
    # one may have been removed or disabled meanwhile; what has an address of its own goes there all the same
    rows = [row for row in rows if row["webhook_id"] in present and (present[row["webhook_id"]] or row["address"])]
    if rows:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(_messages).on_conflict_do_nothing(), rows)


def _row(message: NewMessage) -> dict[str, Any]:
    return {
        "webhook_id": message.webhook_id,
        "event_id": message.event_id,
        "told": message.told.value,
        "job_id": message.job_id,
        "state": MessageState.WAITING.value,
        "created_at": message.at,
        "due_at": message.at,
        "attempts": 0,
        "failures": 0,
        "body": clean_text(message.body),
        "address": message.address,
        "tries": [],
    }


def _keep_cursor(connection: sa.Connection, event_id: int, *, is_first: bool) -> None:
    value = {"event_id": event_id}
    if not is_first:
        connection.execute(sa.update(_settings).where(_settings.c.name == CURSOR).values(value=value))
        return
    row = {"name": CURSOR, "value": value, "set_at": datetime.now(UTC), "set_by": "notify"}
    connection.execute(sa.insert(_settings).values(row))


_SETTLE = sa.update(_messages).where(_messages.c.id == sa.bindparam("b_id"))  # sets the columns that the rows name
