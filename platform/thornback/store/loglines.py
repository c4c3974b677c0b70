"""A job's log by line number: where each line stands among the chunks in which lines arrived.

Chunks hold as many lines as their process printed at a time, so that finding line 900 000 means counting those
before it. `LineIndex` counts once, keeps a mark every few hundred lines, and goes on from where it was.
Numbers begin at 0 and never change, for lines are only ever added at the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from thornback.store.columns import canonical_id
from thornback.store.guard import store_errors
from thornback.store.read import StoreReader
from thornback.store.rows import LOG_FIELDS, LogChunk
from thornback.store.tables import JobLog

_logs = JobLog.__table__  # type: ignore[attr-defined]
_LENGTH = sa.func.json_array_length(_logs.c.lines, type_=sa.Integer())
_CHUNK = (_logs.c.event_id, _logs.c.at, *(_logs.c[name] for name in LOG_FIELDS))

LINES_PER_MARK = 512
_COUNTED_AT_ONCE = 20_000  # chunks
_READ_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Numbered:
    """A chunk, and the number of its first line."""

    number: int
    chunk: LogChunk


@dataclass(slots=True)
class _Count:
    """The lines of one rank, or of all."""

    total: int = 0
    ids: list[int] = field(default_factory=list)  # after this chunk …
    numbers: list[int] = field(default_factory=list)  # … comes the line with this number

    def add(self, event_id: int, lines: int) -> None:
        self.total += lines
        if self.total - (self.numbers[-1] if self.numbers else 0) >= LINES_PER_MARK:
            self.ids.append(event_id)
            self.numbers.append(self.total)

    def before(self, number: int) -> tuple[int, int]:
        """The last mark that is not beyond a line: (chunk, number of the line after it)."""
        at = bisect_right(self.numbers, number) - 1
        return (self.ids[at], self.numbers[at]) if at >= 0 else (0, 0)


class LineIndex:
    """Where the lines of one job stand. Not safe for several threads at once."""

    def __init__(self, job_id: str) -> None:
        self.position = 0  # id of the newest chunk that is counted
        self._job_id = canonical_id(job_id) or job_id
        self._counts: dict[int | None, _Count] = {None: _Count()}

    @property
    def ranks(self) -> list[int]:
        """Whose lines there are; -1 is the driver."""
        return sorted(rank for rank in self._counts if rank is not None)

    def total(self, rank: int | None = None) -> int:
        """How many lines, of all or of one rank."""
        count = self._counts.get(rank)
        return 0 if count is None else count.total

    def refresh(self, reader: StoreReader) -> None:
        """Count what was added since."""
        while True:
            statement = (
                sa.select(_logs.c.event_id, _logs.c.rank, _LENGTH)
                .where(_logs.c.job_id == self._job_id, _logs.c.event_id > self.position)
                .order_by(_logs.c.event_id)
                .limit(_COUNTED_AT_ONCE)
            )
            with store_errors(), reader.engine.connect() as connection:
                rows = connection.execute(statement).all()
            for event_id, rank, lines in rows:
                self._counts[None].add(event_id, lines)
                self._counts.setdefault(rank, _Count()).add(event_id, lines)
                self.position = event_id
            if len(rows) < _COUNTED_AT_ONCE:
                return

    def read(self, reader: StoreReader, first: int, count: int, *, rank: int | None = None) -> list[Numbered]:
        """Lines `first` to `first + count`, in chunks cut at both ends; fewer where the log ends before."""
        end = min(first + count, self.total(rank))
        found: list[Numbered] = []
        for piece in self.walk(reader, first, rank=rank):
            if piece.number >= end:
                break
            lines = piece.chunk.lines[: end - piece.number]
            found.append(Numbered(piece.number, replace(piece.chunk, lines=lines)))
            if piece.number + len(lines) >= end:
                break
        return found

    def walk(self, reader: StoreReader, first: int, *, rank: int | None = None) -> Iterator[Numbered]:
        """Chunks from line `first` on, the first one cut, as far as they are counted."""
        if rank not in self._counts:
            return
        after, number = self._counts[rank].before(first)
        size = 16  # a page of lines stands in few chunks; a search reads on
        while True:
            rows = self._chunks(reader, after, rank, size)
            for row in rows:
                skipped = min(max(first - number, 0), len(row.lines))
                if skipped < len(row.lines):
                    yield Numbered(number + skipped, _chunk(self._job_id, row, skipped))
                number += len(row.lines)
            if len(rows) < size:
                return
            after = rows[-1].event_id
            size = min(size * 4, _READ_AT_ONCE)

    def _chunks(self, reader: StoreReader, after: int, rank: int | None, limit: int) -> list[Any]:
        statement = sa.select(*_CHUNK).where(
            _logs.c.job_id == self._job_id, _logs.c.event_id > after, _logs.c.event_id <= self.position
        )
        if rank is not None:
            statement = statement.where(_logs.c.rank == rank)
        with store_errors(), reader.engine.connect() as connection:
            return list(connection.execute(statement.order_by(_logs.c.event_id).limit(limit)).all())


def _chunk(job_id: str, row: Any, skipped: int) -> LogChunk:
    return LogChunk(
        id=row.event_id,
        job_id=job_id,
        attempt=row.attempt,
        restart=row.restart,
        rank=row.rank,
        seq=row.seq,
        lines=tuple(row.lines[skipped:]),
        at=row.at,
    )
