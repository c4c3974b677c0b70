"""Putting a job into the queue: what every POST that makes one has in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Header, Request, Response
from uuid_utils import uuid7

from serve_apps.api import views
from serve_apps.api.context import ApiContext
from serve_apps.api.principal import Principal
from serve_apps.api.problems import UnsupportedMediaType
from serve_apps.api.schemas import JobCreated
from serve_apps.api.seen import check_kind, check_references, team_of_new_job
from serve_apps.api.stored import check_uploads
from thornback.jobs.spec import JobSpec
from thornback.metrics.port import NewJob
from thornback.spend.quotas import sentence
from thornback.telemetry import traces

QUOTA_WARNING = "Thornback-Quota-Warning"  # in words: the quotas of which the new job reaches the share of the warning

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same body makes one job, however often it is sent.",
    ),
]


def json_only(request: Request) -> None:
    """Bodies are JSON: a web form of another site cannot send that without asking first."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    is_json = content_type == "application/json" or (
        content_type.startswith("application/") and content_type.endswith("+json")
    )
    if has_body and not is_json:
        raise UnsupportedMediaType(f"send the body as application/json, not as {content_type or 'unnamed bytes'}")


async def create(
    context: ApiContext,
    caller: Principal,
    spec: JobSpec,
    response: Response,
    *,
    key: str | None,
    request: Mapping[str, Any],
    retry_of: str | None = None,
    resume_from: str | None = None,
) -> JobCreated:
    """Put a job into the queue and say in `Location` where it is.

    Args:
        context: the parts of the API.
        caller: whose job it is.
        spec: validated and checked.
        response: gets the header.
        key: the Idempotency-Key.
        request: what was asked, as the key is bound to it: a path and a body.
        retry_of: the job that this one repeats.
        resume_from: the checkpoint that it goes on from.

    Raises:
        IdempotencyConflict: the key came before with another request.
        QuotaExceeded, SpendExceeded: the caller or the team would have more than they may.
        Forbidden: the caller's API key is for other kinds.
        InvalidInput: it is for a team that the caller is not in, or names a job that they may not know of,
            or an upload that is not there.
    """
    check_kind(caller, spec.kind)
    await check_references(context, caller, spec)
    # A job is retried by whoever may do that, with what its owner has sent for it.
    may_name_all = caller.is_admin or retry_of is not None
    await check_uploads(spec, context.settings, user=None if may_name_all else caller.user)
    team = await team_of_new_job(context, caller, spec.team)
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":")).encode()
    new = NewJob(
        job_id=str(uuid7()),
        spec=spec.model_dump(mode="json"),
        user=caller.user,
        at=datetime.now(UTC),
        team=team,
        retry_of=retry_of,
        resume_from=resume_from,
        idempotency_key=key,
        traceparent=traces.here(),
        request_hash=hashlib.sha256(canonical).hexdigest() if key is not None else None,
    )
    created = await context.recorder.create(new)
    response.headers["Location"] = f"{views.API_PREFIX}/jobs/{created.job.id}"
    if created.nearly_used:
        words = "; ".join(sentence(level) for level in created.nearly_used)
        response.headers[QUOTA_WARNING] = words.encode("ascii", "replace").decode()
    return views.job_created(created.job)
