"""A page of the job list: filters, sorts and the cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from thornback.access.sight import Sight
from thornback.errors import InvalidInput
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.metrics.port import QueuePlace
from thornback.store.admit import MAX_INT, clean_text
from thornback.store.columns import canonical_id
from thornback.store.project import name_key
from thornback.store.seen import seen
from thornback.store.tables import TrainingJob

_jobs = TrainingJob.__table__  # type: ignore[attr-defined]

SORTS: Mapping[str, sa.ColumnElement[Any]] = {
    "created_at": _jobs.c.created_at,
    "name": _jobs.c.name_key,
    "status": _jobs.c.status,
    "progress": _jobs.c.progress_percent,
    "priority": _jobs.c.priority,
    "cost": sa.func.coalesce(
        _jobs.c.cost_usd, _jobs.c.cost_estimate_usd, sa.literal(-1.0), type_=sa.Double()
    ),  # unknown: least
}
MAX_LIMIT = 1000
NO_PARENT = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs, in which order. `cursor` wins over `offset`."""

    status: tuple[JobStatus, ...] = ()  # none: all
    kind: str | None = None
    name: str | None = None  # part of the name, in any case
    user: str | None = None
    team: str | None = None
    sight: Sight | None = None  # whose eyes look; None: all jobs
    backend: str | None = None
    tags: tuple[str, ...] = ()  # each `key=value`, or a key alone; all of them must hold
    parent: str | None = None  # id of the job whose parts are wanted; NO_PARENT: those that are no part of another
    sort: str = "-created_at"  # one of SORTS, descending after a minus
    limit: int = 50
    offset: int = 0
    cursor: str | None = None  # `next_cursor` of the page before


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job and, while it waits, its place in the queue."""

    state: JobState
    queue: QueuePlace | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some of the jobs that a query finds; `total` counts all of them."""

    jobs: tuple[JobRow, ...]
    total: int
    next_cursor: str | None  # None on the last page
    parts: Mapping[str, int] = field(
        default_factory=dict
    )  # how many parts the jobs of the page have, where they have any


@dataclass(frozen=True, slots=True)
class Order:
    """A sort with the id as its last word, so that no two jobs are equal."""

    name: str
    descending: bool

    @classmethod
    def parse(cls, sort: str) -> Order:
        """Raises InvalidInput."""
        name = sort.removeprefix("-")
        if name not in SORTS:
            raise InvalidInput.field(
                "sort", f"{sort!r} is unknown; use one of {', '.join(SORTS)}, or -name for falling"
            )
        return cls(name, sort.startswith("-"))

    @property
    def column(self) -> sa.ColumnElement[Any]:
        """What is sorted by."""
        return SORTS[self.name]

    def clauses(self) -> tuple[sa.ColumnElement[Any], ...]:
        """For ORDER BY."""
        columns = (self.column, _jobs.c.id)
        return tuple(column.desc() if self.descending else column.asc() for column in columns)

    def beyond(self, cursor: str) -> sa.ColumnElement[bool]:
        """Only jobs that come after the cursor. Raises InvalidInput."""
        value, job_id = self._decode(cursor)
        here = sa.tuple_(self.column, _jobs.c.id)
        there = sa.tuple_(sa.literal(value, self.column.type), sa.literal(job_id, _jobs.c.id.type))
        return here < there if self.descending else here > there

    def cursor(self, value: Any, job_id: str) -> str:
        """The cursor that stands on a job."""
        content = orjson.dumps([str(self), value.isoformat() if isinstance(value, datetime) else value, job_id])
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    def _decode(self, cursor: str) -> tuple[Any, str]:
        try:
            content = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
            sort, value, job_id = content
            place = self._place(value)
        except (binascii.Error, ValueError, TypeError, OverflowError):
            raise InvalidInput.field("cursor", "is damaged; start again without one") from None
        if sort != str(self) or canonical_id(job_id) is None:
            raise InvalidInput.field("cursor", f"belongs to another sort than {str(self)!r}; start again without one")
        return place, job_id

    def _place(self, value: Any) -> Any:
        """The value as its column holds it; a cursor is a client's text and may say anything."""
        if self.name == "created_at":
            return datetime.fromisoformat(value).astimezone(UTC)
        if self.name in ("progress", "cost"):
            return float(value)
        if self.name == "priority":
            return min(max(int(value), -MAX_INT), MAX_INT)
        return clean_text(str(value))

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name


def conditions(query: JobQuery) -> list[sa.ColumnElement[bool]]:
    """The filters, without the cursor. Raises InvalidInput."""
    if not 0 <= query.limit <= MAX_LIMIT:
        raise InvalidInput.field("limit", f"must be 0 to {MAX_LIMIT}")
    if not 0 <= query.offset < 2**63:
        raise InvalidInput.field("offset", "must not be negative")
    found: list[sa.ColumnElement[bool]] = []
    if query.status:
        found.append(_jobs.c.status.in_([status.value for status in query.status]))
    if query.kind is not None:
        found.append(_jobs.c.kind == clean_text(query.kind))
    if query.user is not None:
        found.append(_jobs.c.user == clean_text(query.user))
    if query.team is not None:
        found.append(_jobs.c.team == clean_text(query.team))
    found.extend(seen(query.sight))
    if query.parent is not None:
        found.append(_parent(query.parent))
    if query.backend is not None:
        found.append(_jobs.c.backend == clean_text(query.backend))
    found.extend(_tag(tag) for tag in query.tags)
    if query.name:
        found.append(_jobs.c.name_key.contains(name_key(query.name), autoescape=True))
    return found


def _tag(wanted: str) -> sa.ColumnElement[bool]:
    key, has_value, value = clean_text(wanted).partition("=")
    if not key or '"' in key or "\\" in key:  # no database takes these two inside the path of a member
        raise InvalidInput.field("tag", "must be key=value or a key, without quotes and backslashes in the key")
    held: sa.ColumnElement[str] = _jobs.c.tags[key].as_string()
    return held == value if has_value else held.is_not(None)


def _parent(wanted: str) -> sa.ColumnElement[bool]:
    column: sa.ColumnElement[str | None] = _jobs.c.parent_id
    if wanted == NO_PARENT:
        return column.is_(None)
    parent_id = canonical_id(wanted)
    if parent_id is None:
        raise InvalidInput.field("parent", f"must be the id of a job, or {NO_PARENT}")
    return column == parent_id
