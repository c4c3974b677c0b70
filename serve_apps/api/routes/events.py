"""Live streams as server-sent events, for one job and for all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from serve_apps.api import sse, views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.flood import holder
from serve_apps.api.follow import follow
from serve_apps.api.hub import HubClosed, Subscription
from serve_apps.api.lease import Lease
from serve_apps.api.principal import Caller
from serve_apps.api.seen import SeenJobs
from serve_apps.api.sse import EventStreamResponse
from thornback.errors import Forbidden, JobNotFound, NotSignedIn, Unavailable
from thornback.jobs.events import EventKind
from thornback.jobs.state import JobState
from thornback.metrics.port import StreamEvent

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": sse.CONTENT, "description": "Server-sent events."},
}
_ENDS = (HubClosed, Unavailable, NotSignedIn, Forbidden, JobNotFound)
ENDED: dict[int | str, dict[str, Any]] = {
    204: {"description": "The job has ended and the client has seen everything: it need not come back."},
}
Cursor = Annotated[int | None, Depends(sse.cursor)]
Kinds = Annotated[list[EventKind] | None, Query(description="Only these kinds; left out: all.")]

router = APIRouter(prefix=views.API_PREFIX, tags=["streams"])


@router.get("/jobs/{job_id}/events", response_class=Response, responses=STREAM | ENDED, summary="Events of a job")
async def job_events(
    context: Context, caller: Caller, request: Request, job_id: UUID, cursor: Cursor, kinds: Kinds = None
) -> Response:
    """Every event of a job once and in order, from the first or from where the client stopped.

    Each has an `id`. `training_status` messages come in between without one, and `end` comes after
    the last event. `reset` says that the client's cursor is not known here, so that all events follow.
    """
    id = str(job_id)
    after = cursor or 0
    if await has_ended_before(context, id, after):
        return Response(status_code=204)
    stream = await context.hub.join(job_id=id, after=after, user=holder(caller))
    lease = Lease(request, context, caller)
    return EventStreamResponse(_job_stream(context, id, stream, frozenset(kinds or EventKind), lease))


@router.get("/events", response_class=Response, responses=STREAM, summary="Events of all jobs")
async def all_events(
    context: Context, caller: Caller, request: Request, cursor: Cursor, kinds: Kinds = None
) -> Response:
    """Every event of every job that you may look at, once and in order, from now on or from where the client stopped.

    `training_status` messages without an id follow what happens live. After `reset` the client's
    picture is out of date: read the list again.
    """
    stream = await context.hub.join(job_id=None, after=cursor, user=holder(caller))
    lease = Lease(request, context, caller)
    return EventStreamResponse(_stream_of_all(context, lease, stream, frozenset(kinds or EventKind)))


async def has_ended_before(context: ApiContext, job_id: str, after: int) -> bool:
    """True where the job is final and has no event after `after`.

    Raises:
        JobNotFound: no such job, and no trace of a deletion that this client has not been told of.
    """
    try:
        is_final = (await context.read(lambda store: store.job(job_id))).state.status.is_final
    except JobNotFound:
        if after == 0 or not await _more(context, job_id, after):
            raise
        return False
    return is_final and not await _more(context, job_id, after)


async def _more(context: ApiContext, job_id: str, after: int) -> bool:
    return bool(await context.read(lambda store: store.events(after, job_id=job_id, limit=1)))


async def _job_stream(
    context: ApiContext, job_id: str, stream: Subscription, kinds: Collection[EventKind], lease: Lease
) -> AsyncIterator[bytes]:
    with stream:
        yield sse.hello()
        if stream.was_reset:
            yield sse.encode("reset", {"job_id": job_id})
        shown: JobState | None = None
        try:
            async for step in follow(context, job_id, stream):
                await lease.renew()
                answer = _encode(step.events, kinds)
                if step.job is not None and step.job != shown:
                    shown = step.job
                    answer += _status(shown, step.position)
                if step.is_end:
                    status = "deleted" if step.job is None else step.job.status.value
                    answer += sse.encode("end", {"job_id": job_id, "status": status})
                yield answer or sse.HEARTBEAT
        except _ENDS:
            return  # the client comes back by itself and goes on after the last event it has, or is told why not


async def _stream_of_all(
    context: ApiContext, lease: Lease, stream: Subscription, kinds: Collection[EventKind]
) -> AsyncIterator[bytes]:
    with stream:
        yield sse.hello()
        if stream.was_reset:
            yield sse.encode("reset", {"last_event_id": stream.position})
        sight = lease.caller.sight
        seen = SeenJobs(context, sight)
        try:
            while True:
                news = await stream.next(context.settings.heartbeat_s)
                if (await lease.renew()).sight != sight:
                    sight = lease.caller.sight
                    seen = SeenJobs(context, sight)
                events = await seen.events(news)
                states = {event.job_id: event.job for event in events if event.job is not None}
                answer = _encode(events, kinds) + b"".join(_status(job, stream.position) for job in states.values())
                yield answer or sse.HEARTBEAT
        except _ENDS:
            return  # as above


def _encode(events: Sequence[StreamEvent], kinds: Collection[EventKind]) -> bytes:
    return b"".join(
        sse.encode(event.kind.value, views.event_message(event), id=event.id) for event in events if event.kind in kinds
    )


def _status(job: JobState, position: int) -> bytes:
    return sse.encode("training_status", views.status_message(job, event_id=position, now=datetime.now(UTC)))
