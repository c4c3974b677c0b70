"""Bytes of stored files for an answer: whole, in part, or a folder as a tar archive.

Everything here reads in threads; Starlette iterates the synchronous iterators that way.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from serve_apps.api.problems import RangeNotSatisfiable
from serve_apps.api.sse import LiveResponse
from thornback.artifacts.files import FileEntry, Location

_RANGE = re.compile(r"^bytes=(\d{0,19})-(\d{0,19})$")


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """(first byte, length) of a Range header; None where it is to be ignored (RFC 9110, 14.2).

    Several ranges and other units are ignored, which answers with the whole file.

    Raises:
        RangeNotSatisfiable: it begins behind the end of the file.
    """
    match = _RANGE.match(header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first_text, last_text = match.groups()
    if not first_text:  # the last so many bytes
        length = min(int(last_text), size)
        first, last = size - length, size - 1
    else:
        first = int(first_text)
        last = min(int(last_text), size - 1) if last_text else size - 1
        if last_text and int(last_text) < first:
            return None
    if first >= size or last < first:
        raise RangeNotSatisfiable(f"the file has {size} bytes", size=size)
    return first, last - first + 1


def tar_stream(folder: Location, files: Sequence[FileEntry]) -> Iterator[bytes]:
    """A folder as a tar archive, made while it is sent."""
    for entry in files:
        info = tarfile.TarInfo(entry.path)
        info.size = entry.size_bytes
        info.mtime = int(entry.modified_at.timestamp()) if entry.modified_at else 0
        yield info.tobuf(tarfile.PAX_FORMAT)
        yield from (folder / entry.path).read_range(0, entry.size_bytes)
        yield bytes(-entry.size_bytes % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def disposition(name: str, *, shows: bool = False) -> dict[str, str]:
    """The header under which a browser saves an answer as a file of this name (RFC 6266), or shows it."""
    kind = "inline" if shows else "attachment"
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._- ") else "_" for char in name)
    return {"Content-Disposition": f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}


def file_answer(
    place: Location,
    *,
    etag: str | None,
    media_type: str,
    headers: Mapping[str, str],
    byte_range: str | None,
    if_range: str | None,
) -> LiveResponse:
    """A file, or the part of it that the request asks for.

    Args:
        place: of the file.
        etag: names its content; None where nothing promises that it stays the same.
        media_type: of the file.
        headers: of the answer, beside those of length and part.
        byte_range: the request's Range.
        if_range: the request's If-Range: a part only where the file still has this ETag (RFC 9110, 13.1.5).

    Raises:
        NotFound: it is gone.
        RangeNotSatisfiable: it is shorter.
    """
    size = place.size()
    part = parse_range(byte_range, size) if byte_range and (if_range is None or if_range == etag) else None
    first, length = part or (0, size)
    said = dict(headers) | {"Accept-Ranges": "bytes", "Content-Length": str(length)}
    if etag is not None:
        said["ETag"] = etag
    if part:
        said["Content-Range"] = f"bytes {first}-{first + length - 1}/{size}"
    return LiveResponse(
        place.read_range(first, length), status_code=206 if part else 200, media_type=media_type, headers=said
    )
