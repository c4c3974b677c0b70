"""What the queue looks like on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from serve_apps.api.schemas import Job, Wire
from thornback.jobs.queue import LEAST_PRIORITY, MOST_PRIORITY

Priority = Annotated[int, Field(ge=LEAST_PRIORITY, le=MOST_PRIORITY, description="Higher starts first.")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HoldOut(Wire):
    """Nothing new is started; what runs goes on."""

    by: str
    at: datetime
    reason: str


class WaitingOut(Wire):
    """A job that waits to be started."""

    id: str
    job_name: str
    user: str
    kind: str
    backend: str
    queue: str = Field(description="The backend whose slots or machines it waits for.", examples=["ray", "fal"])
    position: int | None = Field(description="In its queue, 1 is next; null: not looked at yet.")
    priority: int
    reason: str | None
    created_at: datetime | None


class QueueOut(Wire):
    """Who waits for what, next one first; every backend has a queue of its own."""

    paused: HoldOut | None = Field(description="Null where the queue goes on.")
    waiting: list[WaitingOut]
    last_event_id: int = Field(description="Where a stream goes on from this answer.")


class PauseIn(_In):
    """Why."""

    reason: Annotated[str, Field(max_length=200)] = ""


class MoveIn(_In):
    """Another place."""

    job_id: str
    before: str | None = Field(description="Id of the job that it is to come before; null: the end of its queue.")


class JobChange(_In):
    """What of a job can be changed while it waits."""

    priority: Priority


class JobChanged(Wire):
    """The job as it stands."""

    job: Job
