"""Following one job to its end: the shared middle of the SSE and the WebSocket streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from serve_apps.api.context import ApiContext
from serve_apps.api.hub import REPLAY_EVENTS, Subscription
from thornback.errors import JobNotFound
from thornback.jobs.events import EventKind
from thornback.jobs.state import JobState
from thornback.metrics.port import StreamEvent

_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a client is told next. No events: only a sign of life."""

    events: Sequence[StreamEvent] = ()
    job: JobState | None  # the newest known state; None where the job is deleted
    position: int  # all events of the job up to this id have been handed out
    is_end: bool = False  # nothing comes after this step


async def follow(context: ApiContext, job_id: str, stream: Subscription) -> AsyncIterator[Step]:
    """Steps from where `stream` stands until the job has ended; the first has the present state at once.

    Raises:
        HubClosed: the replica shuts down.
        Unavailable: the database is away for the moment.
    """
    job = await _state(context, job_id)
    yield Step(job=job, position=stream.position)
    is_over = job is None or job.status.is_final
    while not is_over:
        # The state was read before the job's end, so the end is still to come on this stream.
        events = await stream.next(context.settings.heartbeat_s)
        is_deleted = _is_deleted(events)
        is_over = is_deleted or any(event.kind.is_final for event in events)
        if is_deleted:
            job = None
        elif (newest := _newest(events)) is not None:
            job = newest
        elif stream.is_replayed and events and (stream.is_live or is_over):
            job = await _state(context, job_id)
        yield Step(events=events, job=job, position=stream.position)
    # Nothing more happens, so the database has the rest: late log lines, or the past of an old job.
    position = stream.position
    while rest := await context.hub.events(position, until=_NEWEST, job_id=job_id):
        position = rest[-1].id
        if _is_deleted(rest):
            job = None
        yield Step(events=rest, job=job, position=position)
        if len(rest) < REPLAY_EVENTS:
            break
    yield Step(job=job, position=position, is_end=True)


def _is_deleted(events: Sequence[StreamEvent]) -> bool:
    return any(event.kind is EventKind.DELETED for event in events)


async def _state(context: ApiContext, job_id: str) -> JobState | None:
    try:
        return (await context.read(lambda store: store.job(job_id))).state
    except JobNotFound:
        return None


def _newest(events: Sequence[StreamEvent]) -> JobState | None:
    """The state that the last commit among `events` left; replayed events carry none."""
    return next((event.job for event in reversed(events) if event.job is not None), None)
