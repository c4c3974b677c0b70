"""Several jobs at once: what is asked, and what became of each."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from serve_apps.api.schemas import EXAMPLE_ID, Wire

MAX_JOBS = 500


class JobIds(BaseModel):
    """Some jobs."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_JOBS, examples=[[EXAMPLE_ID]])]


class BulkResult(Wire):
    """What became of one job."""

    id: str
    outcome: Literal["cancelling", "deleting", "refused"]
    code: str | None = Field(
        None, description="Why it was refused, as in a problem: `job_is_final`, `job_not_found`, `forbidden`"
    )
    detail: str | None = None


class BulkAnswer(Wire):
    """One result for each job, in the order of the request, each id once."""

    results: list[BulkResult]
    done: int = Field(description="How many were not refused.")
