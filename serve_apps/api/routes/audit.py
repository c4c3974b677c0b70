"""The audit log: who did what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.principal import Caller
from serve_apps.api.sse import LiveResponse
from thornback.access.audit import Act, AuditEntry, Head, read_head, to_json

router = APIRouter(prefix="/api/v1", tags=["access"])

_IN_CHUNK = 1000
_LINES: dict[int | str, dict[str, Any]] = {
    200: {"description": "One entry a line, the oldest first.", "content": {"application/x-ndjson": {"schema": {}}}}
}

Actor = Annotated[str | None, Query(max_length=255, description="Who did it.")]
Action = Annotated[str | None, Query(max_length=50, description="`job.cancel`, or `job.` for all of jobs.")]
Target = Annotated[str | None, Query(max_length=255, description="A job's id, a user's name, …")]


class AuditEntryOut(BaseModel):
    """One act."""

    seq: int = Field(description="From 1, without gaps.")
    at: datetime
    actor: str
    action: str = Field(examples=["job.cancel", "key.add", "session.refused"])
    target: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str


class AuditPage(BaseModel):
    """Some entries, the newest first."""

    entries: list[AuditEntryOut]
    next_before: int | None = Field(description="`before` of the next page; null on the last.")


class AuditVerdict(BaseModel):
    """Whether the log is as it was written."""

    ok: bool
    entries: int = Field(description="That are right, from the first on.")
    head: str = Field(description="Number and hash of the last of them. Note it elsewhere, and name it next time.")
    problem: str | None


@router.get("/audit", summary="The audit log")
async def list_audit(
    context: Context,
    actor: Actor = None,
    action: Action = None,
    target: Target = None,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="`next_before` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditPage:
    """Who did what, the newest first."""
    entries = await context.read(
        lambda _: context.access.audit(
            before=before, actor=actor, action=action, target=target, limit=limit + 1, newest_first=True
        )
    )
    shown = entries[:limit]
    more = len(entries) > limit
    return AuditPage(entries=[_out(entry) for entry in shown], next_before=shown[-1].seq if more else None)


@router.get("/audit.jsonl", response_class=Response, responses=_LINES, summary="The whole audit log as a file")
async def export_audit(context: Context, caller: Caller) -> Response:
    """Every entry, this export included; `thornback audit verify FILE` looks at it without a server."""
    act = Act(actor=caller.user, action="audit.export", target="audit", at=datetime.now(UTC))
    await context.recorder.administer(act)
    headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return LiveResponse(_lines(context), media_type="application/x-ndjson", headers=headers)


@router.get("/audit/verify", summary="Is the audit log as it was written?")
async def verify_audit(
    context: Context,
    head: Annotated[str | None, Query(max_length=100, description="An earlier `head`: it has to be there.")] = None,
) -> AuditVerdict:
    """Compute every hash anew. Shows what was changed, removed or put into another order."""
    noted: Head | None = None if head is None else read_head(head)
    verdict = await context.read(lambda _: context.access.verify_audit(noted))
    return AuditVerdict(
        ok=verdict.problem is None, entries=verdict.entries, head=str(verdict.head), problem=verdict.problem
    )


async def _lines(context: ApiContext) -> AsyncIterator[bytes]:
    entries = await _chunk(context, after=0)
    while entries:
        yield b"".join(orjson.dumps(to_json(entry)) + b"\n" for entry in entries)
        entries = await _chunk(context, after=entries[-1].seq)


async def _chunk(context: ApiContext, *, after: int) -> list[AuditEntry]:
    return await context.read(lambda _: context.access.audit(after=after, limit=_IN_CHUNK))


def _out(entry: AuditEntry) -> AuditEntryOut:
    return AuditEntryOut(**to_json(entry))
