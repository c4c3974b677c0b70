"""What a running job can be asked for beside its end."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter

from serve_apps.api import views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.principal import Caller
from serve_apps.api.schemas import AskAnswer
from thornback.jobs.events import EventFactory
from thornback.jobs.wishes import Wish, check_wish

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs/{{job_id}}", tags=["jobs"])


@router.post("/save", status_code=202, summary="Save a running job now")
async def save_job(context: Context, caller: Caller, job_id: UUID) -> AskAnswer:
    """Ask a LoRA training on this cluster for a checkpoint and its LoRA file after the present step."""
    return await _ask(Wish.SAVE, context, caller.user, str(job_id))


@router.post("/sample", status_code=202, summary="Draw samples of a running job now")
async def sample_job(context: Context, caller: Caller, job_id: UUID) -> AskAnswer:
    """Ask a LoRA training on this cluster for pictures of its sample prompts after the present step."""
    return await _ask(Wish.SAMPLE, context, caller.user, str(job_id))


@router.post("/finish", status_code=202, summary="Stop a running job and keep its result")
async def finish_job(context: Context, caller: Caller, job_id: UUID) -> AskAnswer:
    """Ask a LoRA training on this cluster to end after the present step and to publish what it has.

    The job becomes `completed`, as if it had been meant to end there.
    """
    return await _ask(Wish.FINISH, context, caller.user, str(job_id))


async def _ask(wish: Wish, context: ApiContext, user: str, id: str) -> AskAnswer:
    row = await context.read(lambda store: store.job(id))
    check_wish(wish, row.state)
    await context.recorder.record([EventFactory(id).asked(wish, user=user, at=datetime.now(UTC))])
    row = await context.read(lambda store: store.job(id))
    return AskAnswer(job=views.full(row, datetime.now(UTC)))
