"""Large files in parts: tus 1.0 with creation, termination, checksum and expiration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import ClientDisconnect

from serve_apps.api import tus, upload_check
from serve_apps.api.awake import IDLE_S, awake
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.principal import Caller, Principal
from serve_apps.api.problems import BodyTooLarge, UnsupportedMediaType
from serve_apps.api.staging import KEEP_BYTES, Part, Staging, Upload
from serve_apps.api.upload_schemas import UploadOut
from thornback.artifacts.uploads import delete_upload, kind_of_upload, note_owner
from thornback.errors import Conflict, DataError, UploadGone
from thornback.jobs.addresses import UPLOAD, uploads_of

PREFIX = "/api/v1/uploads"
_WRITE_BYTES = 1 << 20

router = APIRouter(prefix=PREFIX, tags=["uploads"], route_class=tus.TusRoute)


def get_staging(context: Context) -> Staging:
    """Where unfinished uploads lie."""
    settings = context.settings
    return Staging(
        settings.uploads or settings.home / "uploads",
        keep=timedelta(hours=settings.upload_keep_hours),
        keep_whole=timedelta(days=settings.upload_keep_days),
    )


Place = Annotated[Staging, Depends(get_staging)]

_NO_BODY: dict[int | str, dict[str, Any]] = {204: {"description": "See the headers `Upload-Offset`, `Upload-Expires`."}}


@router.options("", status_code=204, summary="What uploads can do")
async def describe(context: Context) -> Response:
    """Version, extensions, checksums and the greatest size, in headers."""
    headers = {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": tus.EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
        "Tus-Max-Size": str(_most(context)),
    }
    return Response(status_code=204, headers=headers)


@router.post("", status_code=201, summary="Begin an upload")
async def begin(context: Context, caller: Caller, staging: Place, request: Request, response: Response) -> UploadOut:
    """Headers: `Tus-Resumable: 1.0.0`, `Upload-Length`, and `Upload-Metadata` with a `filename`. No body."""
    length = tus.count_of(request, "Upload-Length")
    if length == 0:
        raise tus.BadHeader.field("Upload-Length", "an empty file is no use")
    if length > _most(context):
        raise BodyTooLarge(f"the file has more than the {_most(context)} bytes that are taken")
    metadata = tus.metadata_of(request)
    make = partial(staging.create, user=caller.user, length=length, metadata=metadata, now=_now())
    upload = await anyio.to_thread.run_sync(make)
    response.headers["Location"] = f"{PREFIX}/{upload.id}"
    response.headers["Upload-Expires"] = tus.http_date(staging.expires_at(upload))
    return _view(upload, staging)


@router.get("/{upload_id}", summary="Look at an upload")
async def look(context: Context, caller: Caller, staging: Place, upload_id: UUID) -> UploadOut:
    """How much is here, and what it is once it is whole."""
    upload = staging.read(str(upload_id), user=caller.user, now=_now())
    if upload.result is not None and not await _is_kept(context, upload):
        raise UploadGone(f"upload {upload.id} went with the last job that named it; send the file again", id=upload.id)
    return _view(upload, staging)


@router.head("/{upload_id}", summary="Ask where to go on")
async def head(caller: Caller, staging: Place, upload_id: UUID) -> Response:
    """`Upload-Offset` is the number of bytes that are here."""
    upload = staging.read(str(upload_id), user=caller.user, now=_now())
    headers = _progress(upload, staging) | {"Upload-Length": str(upload.length), "Cache-Control": "no-store"}
    if upload.metadata:
        headers["Upload-Metadata"] = tus.metadata_header(upload.metadata)
    return Response(status_code=200, headers=headers)


@router.patch("/{upload_id}", status_code=204, summary="Send the next part", responses=_NO_BODY)
async def send(context: Context, caller: Caller, staging: Place, request: Request, upload_id: UUID) -> Response:
    """The bytes from `Upload-Offset` on, as application/offset+octet-stream. The last part has the file checked."""
    return await _send(context, caller, staging, request, str(upload_id))


@router.delete("/{upload_id}", status_code=204, summary="Give an upload up")
async def give_up(context: Context, caller: Caller, staging: Place, upload_id: UUID) -> Response:
    """Remove one, whole or not. A whole one stays where a job that has not ended needs it: that is a conflict."""
    id = str(upload_id)
    with staging.lock(id):
        upload = staging.read(id, user=caller.user, now=_now())
        if upload.result is not None:
            await _refuse_needed(context, id)
            await anyio.to_thread.run_sync(delete_upload, context.settings.storage, id)
        staging.delete(upload)
    return Response(status_code=204)


@router.post("/{upload_id}", include_in_schema=False)
async def overridden(context: Context, caller: Caller, staging: Place, request: Request, upload_id: UUID) -> Response:
    """For networks that let neither PATCH nor DELETE through, as the protocol has it."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "PATCH":
        return await _send(context, caller, staging, request, str(upload_id))
    if method == "DELETE":
        return await give_up(context, caller, staging, upload_id)
    raise tus.BadHeader.field("X-HTTP-Method-Override", "a POST here must say PATCH or DELETE")


async def _refuse_needed(context: ApiContext, id: str) -> None:
    jobs = await context.read(lambda store: store.naming(f"{UPLOAD}{id}"))
    for job in jobs:
        if job.final is None and id in uploads_of(job.spec):
            raise Conflict(
                f"upload {id} is needed by job {job.id}, which is {job.status}; cancel that or wait for its end",
                job_id=job.id,
            )


async def _is_kept(context: ApiContext, upload: Upload) -> bool:
    kind = await anyio.to_thread.run_sync(kind_of_upload, context.settings.storage, upload.id)
    return kind is not None


async def _send(context: ApiContext, caller: Principal, staging: Staging, request: Request, id: str) -> Response:
    _require_type(request)
    checksum = tus.Checksum(request.headers.get("upload-checksum"))
    with staging.lock(id):
        upload = staging.read(id, user=caller.user, now=_now())
        if upload.problem is not None:
            raise DataError(upload.problem)
        said = tus.count_of(request, "Upload-Offset")
        if said != upload.offset:
            raise Conflict(f"{upload.offset} bytes are here; go on from there, not from {said}", offset=upload.offset)
        _require_fit(request, upload)
        if upload.offset < upload.length:
            with staging.part(upload) as part:
                await _receive(request, part, upload.length, checksum)
            upload = staging.read(id, user=caller.user, now=_now())
        upload = await _look_inside(context, staging, upload)
    if upload.problem is not None:
        raise DataError(upload.problem)
    return Response(status_code=204, headers=_progress(upload, staging))


async def _receive(request: Request, part: Part, length: int, checksum: tus.Checksum) -> None:
    """Add the body. What arrived before the client left stays, unless a checksum was to vouch for it."""
    try:
        async for chunk in _pieces(request):
            if part.offset + len(chunk) > length:
                raise BodyTooLarge(f"the upload has {length} bytes and this part goes on after its end")
            checksum.add(chunk)
            await anyio.to_thread.run_sync(part.write, chunk)
            if not checksum.is_given and part.unkept >= KEEP_BYTES:
                await anyio.to_thread.run_sync(part.keep)
    except (ClientDisconnect, TimeoutError):
        if not checksum.is_given:
            await anyio.to_thread.run_sync(part.keep)
        raise tus.BadHeader.field("body", "it ended before it was whole") from None
    checksum.check()
    await anyio.to_thread.run_sync(part.keep)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a write. Raises ClientDisconnect, TimeoutError after silence."""
    waiting = bytearray()
    try:
        async for chunk in awake(request.stream(), IDLE_S):
            waiting += chunk
            if len(waiting) >= _WRITE_BYTES:
                yield bytes(waiting)
                waiting.clear()
    except (ClientDisconnect, TimeoutError):
        if waiting:
            yield bytes(waiting)
        raise
    if waiting:
        yield bytes(waiting)


async def _look_inside(context: ApiContext, staging: Staging, upload: Upload) -> Upload:
    """Refuse what cannot become of use as soon as that shows, and keep what is whole."""
    if upload.is_over:
        return upload
    return await anyio.to_thread.run_sync(_judge, context, staging, upload)


def _judge(context: ApiContext, staging: Staging, upload: Upload) -> Upload:
    path, settings = staging.path(upload), context.settings
    try:
        upload_check.foresee(path, upload.offset, upload.length, settings)
        if upload.offset < upload.length:
            return upload
        note_owner(settings.storage, upload.id, upload.user)
        found = upload_check.keep(path, upload.id, settings)
    except DataError as error:
        return staging.end(upload, problem=error.message)
    return staging.end(upload, result=found.as_dict())


def _require_type(request: Request) -> None:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != tus.OFFSET_TYPE:
        raise UnsupportedMediaType(f"send the part as {tus.OFFSET_TYPE}, not as {said or 'unnamed bytes'}")


def _require_fit(request: Request, upload: Upload) -> None:
    said = request.headers.get("content-length", "")
    if said.isdecimal() and upload.offset + int(said) > upload.length:
        raise BodyTooLarge(f"the upload has {upload.length} bytes and this part goes on after its end")


def _most(context: ApiContext) -> int:
    return upload_check.most_bytes(context.settings)


def _progress(upload: Upload, staging: Staging) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.offset),
        "Upload-Expires": tus.http_date(staging.expires_at(upload)),
    }


def _view(upload: Upload, staging: Staging) -> UploadOut:
    result = upload.result or {}
    return UploadOut(
        id=upload.id,
        uri=f"upload:{upload.id}",
        state=_state(upload),
        offset=upload.offset,
        length=upload.length,
        filename=upload.metadata.get("filename"),
        created_at=upload.created_at,
        expires_at=staging.expires_at(upload),
        content=result.get("content"),
        images=result.get("images"),
        captions=result.get("captions"),
        video=result.get("video"),
        sha256=result.get("sha256"),
        problem=upload.problem,
    )


def _state(upload: Upload) -> Any:
    if upload.problem is not None:
        return "refused"
    if upload.result is not None:
        return "ready"
    return "receiving" if upload.offset < upload.length else "checking"


def _now() -> datetime:
    return datetime.now(UTC)
