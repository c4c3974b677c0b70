"""A log by line number, for views that show a part of it; and searching it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from serve_apps.api import views
from serve_apps.api.context import Context
from serve_apps.api.log_index import MAX_PATTERN, matcher, search
from serve_apps.api.log_schemas import LinesOut, LogLines, LogMatches
from thornback.store.loglines import Numbered
from thornback.store.read import StoreReader

MAX_LINES = 5_000
MAX_NUMBER = 2**53
SEARCH_S = 1.0  # an answer comes after so long, whether everything was read or not

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs/{{job_id}}/logs", tags=["logs"])

Rank = Annotated[int | None, Query(ge=-1, le=2**31, description="Only lines of this worker; -1 is the driver.")]


@router.get("/lines", summary="Lines of a log by their numbers")
async def log_lines(
    context: Context,
    job_id: UUID,
    first: Annotated[
        int, Query(ge=-MAX_NUMBER, le=MAX_NUMBER, description="Number of a line; below 0: so many before the end.")
    ] = 0,
    count: Annotated[int, Query(ge=0, le=MAX_LINES)] = 1000,
    rank: Rank = None,
) -> LogLines:
    """Lines in the order in which they arrived, and how many there are."""
    id = str(job_id)

    def read(store: StoreReader) -> LogLines:
        with context.log_indexes.of(store, id) as index:
            begin = max(0, index.total(rank) + first) if first < 0 else first
            return LogLines(
                job_id=id,
                total=index.total(rank),
                ranks=index.ranks,
                last_event_id=index.position,
                chunks=[_out(piece) for piece in index.read(store, begin, count, rank=rank)],
            )

    return await context.read(read)


@router.get("/search", summary="Find text in a log")
async def search_log(
    context: Context,
    job_id: UUID,
    q: Annotated[str, Query(min_length=1, max_length=MAX_PATTERN)],
    regex: Annotated[bool, Query(description="`q` is a regular expression.")] = False,
    exact: Annotated[bool, Query(description="Upper and lower case are different.")] = False,
    first: Annotated[int, Query(ge=0, le=MAX_NUMBER, description="Where to begin.")] = 0,
    rank: Rank = None,
) -> LogMatches:
    """Numbers of the lines that have the text; a long log takes several answers, each going on from `next`."""
    id = str(job_id)
    matches = matcher(q, is_regex=regex, is_exact=exact)

    def read(store: StoreReader) -> LogMatches:
        with context.log_indexes.of(store, id) as index:
            found = search(index, store, matches, first=first, rank=rank, budget_s=SEARCH_S)
            return LogMatches(job_id=id, total=index.total(rank), lines=found.lines, next=found.next)

    return await context.read(read)


def _out(piece: Numbered) -> LinesOut:
    chunk = piece.chunk
    return LinesOut(
        number=piece.number,
        event_id=chunk.id,
        timestamp=chunk.at,
        rank=chunk.rank,
        attempt=chunk.attempt,
        lines=list(chunk.lines),
    )
