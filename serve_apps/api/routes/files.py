"""Files of a storage in a folder, for whoever has a signed link. On S3 the links lead to S3 itself."""

from __future__ import annotations

import posixpath
from pathlib import Path as LocalPath
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Header, Path, Query, Response

from serve_apps.api.context import Context
from serve_apps.api.files import disposition, file_answer
from thornback.artifacts.files import Location
from thornback.artifacts.links import FILES_PATH

router = APIRouter(prefix=FILES_PATH, tags=["files"])

# What a browser may be told. Anything else could be a page that acts in our name.
_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".zip": "application/zip",
}
_SHOWN = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".mp4", ".txt", ".json"})
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": _BYTES},
    206: {"description": "The asked bytes of it.", "content": _BYTES},
}


@router.get("/{key:path}", response_class=Response, responses=ANSWERS, summary="A file by its signed link")
async def file_by_link(
    context: Context,
    key: Annotated[str, Path(max_length=2048)],
    expires: Annotated[str, Query(max_length=20, description="Seconds since 1970, as in the link.")] = "",
    signature: Annotated[str, Query(max_length=128, description="As in the link.")] = "",
    filename: Annotated[str | None, Query(max_length=512, description="Save it under this name.")] = None,
    byte_range: Annotated[str | None, Header(alias="Range", description="`bytes=first-last`, one range.")] = None,
    if_range: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Links come with what they lead to, e.g. as `modelUrl`; they hold for a while and cannot be made up."""

    def answer() -> Response:
        place, left = context.links.open(key, expires=expires, signature=signature, filename=filename)
        return _answer(place, filename, left, byte_range, if_range)

    return await anyio.to_thread.run_sync(answer)


def _answer(
    place: Location, filename: str | None, left_s: int, byte_range: str | None, if_range: str | None
) -> Response:
    ending = posixpath.splitext(place.path)[1].lower()
    status = LocalPath(place.path).stat()
    shows = filename is None and ending in _SHOWN
    headers = disposition(filename or posixpath.basename(place.path), shows=shows) | {
        "Cache-Control": f"private, max-age={left_s}",
        "Cross-Origin-Resource-Policy": "cross-origin",  # a link is made to be used elsewhere
    }
    return file_answer(
        place,
        etag=f'"{status.st_mtime_ns:x}-{status.st_size:x}"',
        media_type=_TYPES.get(ending, "application/octet-stream"),
        headers=headers,
        byte_range=byte_range,
        if_range=if_range,
    )
