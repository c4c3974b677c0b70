"""From a video to a LoRA under the addresses of the source; the canonical ones are those of jobs and models."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Depends, Response
from pydantic.alias_generators import to_camel

from serve_apps.api import model_views, views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import IdempotencyKey, create, json_only
from serve_apps.api.lora_schemas import LoraRequest, LoraStatus, SeedStatus
from serve_apps.api.model_schemas import SeedVersion
from serve_apps.api.model_views import Signer
from serve_apps.api.principal import Caller
from serve_apps.api.remote_specs import check_spec
from serve_apps.api.routes.models import Sign
from thornback.errors import InvalidInput, JobNotFound
from thornback.jobs.spec import JobSpec, parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.store.models import ModelReader

KIND = "video_lora"

router = APIRouter(prefix="/api/lora", tags=["compatible"])

_RENAMED = {"backend": "provider", "job_name": "name"}
_STATUS: dict[JobStatus, SeedStatus] = {
    JobStatus.QUEUED: "queued",
    JobStatus.PENDING: "queued",
    JobStatus.RUNNING: "processing",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "failed",
}


@router.post("/train", status_code=201, dependencies=[Depends(json_only)], summary="Make a LoRA of a video")
async def train(
    context: Context,
    caller: Caller,
    sign: Sign,
    response: Response,
    body: LoraRequest,
    idempotency_key: IdempotencyKey = None,
) -> LoraStatus:
    """Put a pipeline in the queue: its frames become a dataset, that is trained on, the LoRA is a version."""
    try:
        spec = _spec(body)
        check_spec(spec, context.settings, context.catalogue)
        request = {"path": "lora/train", "body": body.model_dump(mode="json", exclude_unset=True)}
        made = await create(context, caller, spec, response, key=idempotency_key, request=request)
    except InvalidInput as error:
        raise _as_asked(error) from error
    response.headers["Location"] = f"{router.prefix}/status/{made.id}"
    return await _status(context, made.id, sign)


@router.get("/status/{job_id}", summary="Where a LoRA of a video stands")
async def status(context: Context, sign: Sign, job_id: UUID) -> LoraStatus:
    """Status, progress and, at the end, the version."""
    return await _status(context, str(job_id), sign)


def _spec(body: LoraRequest) -> JobSpec:
    """The same as a job. Raises InvalidInput."""
    given = {
        "video_url": body.video_url,
        "trigger_word": body.trigger_word,
        "model": body.model,
        "steps": body.steps,
        "learning_rate": body.learning_rate,
        "review": body.review,
    }
    config = {**body.options, **{name: value for name, value in given.items() if value is not None}}
    name = body.name or body.trigger_word
    return parse_spec({"kind": KIND, "backend": body.provider, "job_name": name, "config": config})


def _as_asked(error: InvalidInput) -> InvalidInput:
    """The same under the names that fields have in the request."""
    errors = [{**item, "field": _field(item["field"])} for item in error.details.get("errors", ())]
    if not errors:
        return error
    return InvalidInput("; ".join(f"{item['field']}: {item['message']}" for item in errors), errors=errors)


def _field(name: str) -> str:
    if (other := _RENAMED.get(name)) is not None:
        return other
    field = name.removeprefix("config.")
    if field == name:
        return name
    return to_camel(field) if field in LoraRequest.model_fields else f"options.{field}"


async def _status(context: ApiContext, job_id: str, sign: Signer) -> LoraStatus:
    row, found = await context.read(lambda store: (store.job(job_id), ModelReader(store.engine).of_job(job_id)))
    if row.state.kind != KIND:
        raise JobNotFound(job_id)
    versions = [] if found is None else [await anyio.to_thread.run_sync(model_views.seed_version, found, sign)]
    return _shown(row.state, views.summary(row, datetime.now(UTC)).eta_seconds, versions)


def _shown(job: JobState, eta_seconds: float | None, versions: list[SeedVersion]) -> LoraStatus:
    training_id = job.fact("training_id")
    frame_count = job.fact("dataset_size")
    cancelled = "cancelled on request" if job.status is JobStatus.CANCELLED else None
    return LoraStatus(
        job_id=job.id,
        name=job.job_name,
        status="processing" if job.is_parked else _STATUS[job.status],
        progress=job.progress_percent,
        stage=job.stage if job.status is JobStatus.RUNNING else job.waits_for,
        eta_seconds=eta_seconds,
        error=job.error_message or cancelled,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        training_id=training_id if isinstance(training_id, str) else None,
        frame_count=frame_count if isinstance(frame_count, int) else None,
        versions=versions,
    )
