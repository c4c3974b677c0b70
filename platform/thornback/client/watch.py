"""A job's events, each together with what the job has become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import orjson

from thornback.client.models import Event, Job, JobDetail, Update
from thornback.client.stream import STATUS
from thornback.errors import JobNotFound
from thornback.jobs.events import EventKind

if TYPE_CHECKING:
    from thornback.client.client import Client


def watch_job(client: Client, start: JobDetail, messages: Iterable[httpx2.ServerSentEvent]) -> Iterator[Update]:
    """See `Client.watch`; `messages` are those of the job's stream after `start`."""
    job = start.job
    yield Update(job=job)
    if job.is_final:
        return
    for message in messages:
        if message.event == STATUS:
            job = _merged(job, orjson.loads(message.data))
            yield Update(job=job)
            continue
        event = Event.model_validate_json(message.data)
        if event.kind is EventKind.DELETED:
            raise JobNotFound(job.id)
        yield Update(job=job, event=event)
    # Whole once more: the stream carries the status, not what the run said about itself and made.
    yield Update(job=client.get(job.id))


def _merged(job: Job, status: dict[str, Any]) -> Job:
    """The job with what a `training_status` message says."""
    known = {name: value for name, value in status.items() if name in Job.model_fields}
    news = {**job.model_dump(), **known, **status.get("metrics", {})}
    return Job.model_validate(news)
