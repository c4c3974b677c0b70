"""Hands a stored file out, whole or in part."""

from __future__ import annotations

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response

from thornback.simulator.files import StoredFile

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


async def serve(request: Request, file: StoredFile) -> Response:
    """The file, or the one range that was asked for."""
    body = await asyncio.to_thread(lambda: file.body)  # a picture is drawn when it is asked for
    etag = f'"{file.sha256}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "public, max-age=3600"}
    asked = _RANGE.match(request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", etag) != etag:
        return Response(body, 200, headers, media_type=file.content_type)
    first, last = int(asked[1]), min(int(asked[2] or len(body) - 1), len(body) - 1)
    if first >= len(body) or last < first:
        return Response(b"", 416, {**headers, "Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
    return Response(body[first : last + 1], 206, headers, media_type=file.content_type)
