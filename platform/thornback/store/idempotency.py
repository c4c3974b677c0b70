"""Idempotency-Keys: a client's second try finds the job that its first made."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from thornback.errors import IdempotencyConflict
from thornback.metrics.port import NewJob
from thornback.store.admit import short_text
from thornback.store.tables import IdempotencyKey

KEPT_FOR = timedelta(hours=48)  # at least 24 h are promised

_keys = IdempotencyKey.__table__  # type: ignore[attr-defined]


def find_key(connection: sa.Connection, new: NewJob) -> str | None:
    """The id of the job that this key made, None where it made none.

    Raises:
        IdempotencyConflict: it made one from another body.
    """
    if new.idempotency_key is None:
        return None
    query = sa.select(_keys.c.job_id, _keys.c.request_hash).where(
        _keys.c.user == _user(new), _keys.c.key == short_text(new.idempotency_key, 255)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    if row.request_hash != _hash(new):
        raise IdempotencyConflict("this Idempotency-Key was used with another body; send a new key", job_id=row.job_id)
    return str(row.job_id)


def keep_key(connection: sa.Connection, new: NewJob) -> None:
    """Remember the key of a job that was made in this transaction, and forget old ones."""
    if new.idempotency_key is None:
        return
    connection.execute(sa.delete(_keys).where(_keys.c.created_at < new.at - KEPT_FOR))
    row = {
        "user": _user(new),
        "key": short_text(new.idempotency_key, 255),
        "request_hash": _hash(new),
        "job_id": new.job_id,
        "created_at": new.at,
    }
    connection.execute(sa.insert(_keys), [row])


def _user(new: NewJob) -> str:
    return short_text(new.user, 255)


def _hash(new: NewJob) -> str:
    return short_text(new.request_hash or "", 128)
