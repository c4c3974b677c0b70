"""What a job printed: as text, or as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from serve_apps.api import sse, views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.flood import holder
from serve_apps.api.follow import follow as follow_job
from serve_apps.api.hub import HubClosed, Subscription
from serve_apps.api.principal import Caller
from serve_apps.api.routes.events import has_ended_before
from serve_apps.api.sse import EventStreamResponse, LiveResponse
from thornback.errors import Unavailable
from thornback.jobs.events import EventKind
from thornback.metrics.port import StreamEvent
from thornback.store.read import StoreReader
from thornback.store.rows import LogChunk

PAGE_CHUNKS = 500
MAX_TAIL = 100_000
PLAIN = "text/plain"
Chunks = AsyncIterator[list[LogChunk]]

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs/{{job_id}}/logs", tags=["logs"])

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Lines as text, or as `log` events where the client accepts text/event-stream.",
        "content": {PLAIN: {"schema": {"type": "string"}}} | sse.CONTENT,
    },
    204: {"description": "As events only: the job has ended and the client has seen everything."},
}


@router.get("", response_class=Response, responses=ANSWERS, summary="Log of a job")
async def job_logs(
    context: Context,
    caller: Caller,
    job_id: UUID,
    cursor: Annotated[int | None, Depends(sse.cursor)],
    follow: Annotated[bool, Query(description="Go on with new lines until the job ends.")] = False,
    tail: Annotated[int | None, Query(ge=0, le=MAX_TAIL, description="Begin with the last so many lines.")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = PLAIN,
) -> Response:
    """The lines of all workers in the order in which they arrived; rank -1 is the driver."""
    id = str(job_id)
    as_events = sse.MEDIA_TYPE in accept
    await context.read(lambda store: store.job(id))
    if as_events and cursor and await has_ended_before(context, id, cursor):
        return Response(status_code=204)
    chunks = _past(context, id, cursor or 0, tail)
    if follow:
        # Read first: whatever is printed after this id comes on the stream, everything before from the table.
        joint = await context.read(lambda store: store.latest_event_id())
        stream = await context.hub.join(job_id=id, after=max(joint, cursor or 0), user=holder(caller))
        chunks = _past_and_future(context, id, chunks, stream)
    if as_events:
        return EventStreamResponse(_as_events(chunks, id))
    return LiveResponse(_as_text(chunks), media_type=PLAIN)


async def _past(context: ApiContext, job_id: str, after: int, tail: int | None) -> Chunks:
    """What the database has, a page at a time."""

    def page(store: StoreReader) -> list[LogChunk]:
        return store.logs(job_id, after=after, limit=tail or PAGE_CHUNKS, tail=tail)

    while True:
        chunks = await context.read(page)
        yield chunks
        if tail is not None or len(chunks) < PAGE_CHUNKS:
            return
        after = chunks[-1].id


async def _past_and_future(context: ApiContext, job_id: str, past: Chunks, stream: Subscription) -> Chunks:
    with stream:
        seen = 0
        async for chunks in past:
            yield chunks
            seen = chunks[-1].id if chunks else seen
        async for step in follow_job(context, job_id, stream):
            # A line printed while the past was read is in both.
            yield [_chunk(event) for event in step.events if event.kind is EventKind.LOG and event.id > seen]


async def _as_text(chunks: Chunks) -> AsyncIterator[bytes]:
    try:
        async for batch in chunks:
            lines = [line for chunk in batch for line in chunk.lines]
            yield "".join(f"{line}\n" for line in lines).encode(errors="replace")
    except (HubClosed, Unavailable):
        return  # text has no way to say so; the client asks again with `after`


async def _as_events(chunks: Chunks, job_id: str) -> AsyncIterator[bytes]:
    yield sse.hello()
    try:
        async for batch in chunks:
            yield b"".join(sse.encode("log", _message(chunk), id=chunk.id) for chunk in batch) or sse.HEARTBEAT
    except (HubClosed, Unavailable):
        return  # the client comes back by itself and goes on after the last event it has
    yield sse.encode("end", {"job_id": job_id})


def _chunk(event: StreamEvent) -> LogChunk:
    data = event.data
    return LogChunk(
        id=event.id,
        job_id=event.job_id,
        attempt=data["attempt"],
        restart=data["restart"],
        rank=data["rank"],
        seq=data["seq"],
        lines=tuple(data["lines"]),
        at=event.at,
    )


def _message(chunk: LogChunk) -> dict[str, Any]:
    return {
        "job_id": chunk.job_id,
        "event_id": chunk.id,
        "timestamp": views.wire_time(chunk.at),
        "attempt": chunk.attempt,
        "restart": chunk.restart,
        "rank": chunk.rank,
        "seq": chunk.seq,
        "lines": chunk.lines,
    }
