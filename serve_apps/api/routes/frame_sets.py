"""The dataset that a pipeline makes from a video: looked at, changed while it is in review, and approved."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Response

from serve_apps.api import frame_views, views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.files import disposition
from serve_apps.api.frame_schemas import Approval, FrameSetChange, FrameSetOut
from serve_apps.api.principal import Caller
from serve_apps.api.schemas import AskAnswer
from serve_apps.api.sse import LiveResponse
from thornback.artifacts.layout import dataset_uri
from thornback.datasets.frame_folder import FrameFolder
from thornback.datasets.frame_set import FrameRecord, FrameSet
from thornback.errors import Conflict, NotFound
from thornback.jobs.events import EventFactory
from thornback.jobs.state import JobState
from thornback.jobs.wishes import Wish, check_wish

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs/{{job_id}}", tags=["datasets"])

T = TypeVar("T")
KIND = "video_lora"

FrameId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
IfNoneMatch = Annotated[str | None, Header(include_in_schema=False)]


def _answers(what: str, *types: str) -> dict[int | str, dict[str, Any]]:
    content = {type: {"schema": {"type": "string", "format": "binary"}} for type in types}
    return {200: {"description": what, "content": content}, 304: {"description": "The client has it."}}


@router.get("/dataset", summary="The dataset made from a video")
async def get_dataset(
    context: Context,
    job_id: UUID,
    kept: Annotated[bool | None, Query(description="Only frames that are kept, or only dropped ones.")] = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> FrameSetOut:
    """Every frame with its caption and thumbnail, and the reason of each that was dropped."""
    job, folder = await _find(context, str(job_id))
    frames = await _ask(folder.read)
    wanted = [frame for frame in frames.frames if kept is None or frame.kept == kept]
    return frame_views.full(job, frames, wanted[offset : offset + limit], total=len(wanted))


@router.patch("/dataset", dependencies=[Depends(json_only)], summary="Change a dataset in review")
async def change_dataset(context: Context, job_id: UUID, body: FrameSetChange) -> FrameSetOut:
    """Drop frames, take dropped ones back, write captions. Answers with the frames that were named.

    A frame that is taken back without a caption gets that of the template. All changes are made, or none.
    """
    job, folder = await _find(context, str(job_id))
    if not frame_views.in_review(job):
        raise Conflict(
            f"job {job.id} does not wait for review (it is {job.status}); its dataset can be changed while it "
            "does, when it was started with review: true",
            job_id=job.id,
        )
    frames = await _ask(lambda: folder.edit(body.frames, revision=body.revision))
    named = [frame for frame in frames.frames if frame.id in body.frames]
    return frame_views.full(job, frames, named, total=len(named))


@router.post("/approve", status_code=202, summary="Train on the dataset as it is now")
async def approve_dataset(context: Context, caller: Caller, job_id: UUID, body: Approval | None = None) -> AskAnswer:
    """End the review of a pipeline that was started with `review: true`; its training begins."""
    job, folder = await _find(context, str(job_id))
    check_wish(Wish.APPROVE, job)
    # Before it is told: what was approved is what is trained on. Where the two come apart, it is approved again.
    revision = None if body is None else body.revision
    await _ask(lambda: folder.approve(revision=revision))
    await context.recorder.record([EventFactory(job.id).asked(Wish.APPROVE, user=caller.user, at=datetime.now(UTC))])
    row = await context.read(lambda store: store.job(job.id))
    return AskAnswer(job=views.full(row, datetime.now(UTC)))


@router.get(
    "/dataset/frames/{frame_id}/thumbnail",
    response_class=Response,
    responses=_answers("A JPEG of at most 320 pixels on the longer side.", "image/jpeg"),
    summary="A frame's thumbnail",
)
async def get_thumbnail(
    context: Context, job_id: UUID, frame_id: FrameId, if_none_match: IfNoneMatch = None
) -> Response:
    """A frame, kept or dropped, as a small picture."""
    _, folder = await _find(context, str(job_id))
    content = await _ask(folder.thumbnail(frame_id).read_bytes)
    return _picture(content, "image/jpeg", hashlib.sha256(content).hexdigest(), if_none_match)


@router.get(
    "/dataset/frames/{frame_id}/image",
    response_class=Response,
    responses=_answers("The picture.", "image/jpeg", "image/png"),
    summary="A frame's full picture",
)
async def get_frame(context: Context, job_id: UUID, frame_id: FrameId, if_none_match: IfNoneMatch = None) -> Response:
    """A frame as it is trained on. Of dropped ones only those in a review have it."""
    _, folder = await _find(context, str(job_id))
    frame = _frame(await _ask(folder.read), frame_id)
    media_type = "image/png" if frame.suffix == ".png" else "image/jpeg"
    return _picture(await _ask(folder.picture(frame).read_bytes), media_type, frame.sha256, if_none_match)


@router.get(
    "/dataset/dataset.zip",
    response_class=Response,
    responses={200: _answers("Pictures with same-name .txt captions.", "application/zip")[200]},
    summary="The dataset as a ZIP",
)
async def download_dataset(context: Context, job_id: UUID) -> Response:
    """What the training was given."""
    job, folder = await _find(context, str(job_id))
    made = (await _ask(folder.read)).zip
    if made is None:
        raise NotFound("the ZIP is not made yet; it is as soon as the dataset is approved")
    size = await _ask(folder.archive.size)
    headers = disposition(f"{job.job_name}.zip") | {"Content-Length": str(size)}
    return LiveResponse(folder.archive.chunks(), media_type="application/zip", headers=headers)


async def _find(context: ApiContext, job_id: str) -> tuple[JobState, FrameFolder]:
    """The job and where its dataset lies. Raises JobNotFound, and NotFound for a job of another kind."""
    row = await context.read(lambda store: store.job(job_id))
    job = row.state
    if job.kind != KIND:
        raise NotFound(f"job {job_id} is of kind {job.kind}; only {KIND} makes a dataset", job_id=job_id)
    return job, FrameFolder(dataset_uri(context.settings.storage, job.user, job_id))


async def _ask(question: Callable[[], T]) -> T:
    """Ask the storage, off the event loop. What is not there yet is told so that people know why."""
    try:
        return await anyio.to_thread.run_sync(question)
    except NotFound as error:
        raise NotFound(f"the dataset, or this part of it, is not there (yet): {error.message}") from None


def _frame(frames: FrameSet, id: str) -> FrameRecord:
    found = frames.frame(id)
    if found is None:
        raise NotFound(f"the dataset has no frame {id}")
    return found


def _picture(content: bytes, media_type: str, digest: str, if_none_match: str | None) -> Response:
    headers = {"Cache-Control": "private, max-age=86400", "ETag": f'"{digest}"'}
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
