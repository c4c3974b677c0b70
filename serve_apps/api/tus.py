"""The headers of tus 1.0, the protocol of resumable uploads (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serve_apps.api import problems
from thornback.errors import ChecksumMismatch, InvalidInput, ThornbackError

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,expiration"
ALGORITHMS = ("sha1", "sha256")
OFFSET_TYPE = "application/offset+octet-stream"
MAX_METADATA_BYTES = 4096


class UnsupportedVersion(ThornbackError):
    """The client speaks another version of tus, or does not say which."""

    code = "unsupported_tus_version"


class TusRoute(APIRoute):
    """A route whose answers carry what the protocol wants, also those that refuse."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the protocol around it."""
        handler = super().get_route_handler()

        async def spoken(request: Request) -> Response:
            try:
                if _names_an_upload(request):
                    require_version(request)
                response = await handler(request)
            except ThornbackError as error:
                response = problems.from_error(error, instance=request.url.path)
                if isinstance(error, UnsupportedVersion):
                    response.headers["Tus-Version"] = VERSION
            response.headers["Tus-Resumable"] = VERSION
            return response

        return spoken


def require_version(request: Request) -> None:
    """Raises UnsupportedVersion. A look at an upload (GET) is no part of the protocol and needs no version."""
    said = request.headers.get("tus-resumable")
    if said != VERSION and request.method not in ("OPTIONS", "GET"):
        raise UnsupportedVersion(f"send the header Tus-Resumable: {VERSION}, not {said!r}")


def _names_an_upload(request: Request) -> bool:
    """An address that can be none is refused as such, whatever the headers say."""
    try:
        UUID(request.path_params.get("upload_id", str(UUID(int=0))))
    except ValueError:
        return False
    return True


class Checksum:
    """Follows the bytes of one request."""

    def __init__(self, header: str | None) -> None:
        """Raises InvalidInput for an algorithm that is not known here, or what is no checksum."""
        self._digest = None
        if header is None:
            return
        algorithm, _, text = header.partition(" ")
        if algorithm not in ALGORITHMS:
            raise BadHeader.field("Upload-Checksum", f"use one of {', '.join(ALGORITHMS)}, not {algorithm!r}")
        self._expected = _decoded("Upload-Checksum", text)
        self._digest = hashlib.new(algorithm, usedforsecurity=False)

    @property
    def is_given(self) -> bool:
        """The client sent one."""
        return self._digest is not None

    def add(self, chunk: bytes) -> None:
        """Bytes in order."""
        if self._digest is not None:
            self._digest.update(chunk)

    def check(self) -> None:
        """Raises ChecksumMismatch."""
        if self._digest is not None and not hmac.compare_digest(self._digest.digest(), self._expected):
            raise ChecksumMismatch("the bytes do not have the checksum that was sent; send them again")


class BadHeader(InvalidInput):
    """A header that cannot be read."""

    code = "bad_header"


def count_of(request: Request, name: str) -> int:
    """The number of bytes in a header. Raises BadHeader."""
    text = request.headers.get(name, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise BadHeader.field(name, f"must be a number of bytes, not {text!r}")
    return int(text)


def metadata_of(request: Request) -> dict[str, str]:
    """`Upload-Metadata` as names and texts. Raises BadHeader."""
    header = request.headers.get("upload-metadata", "")
    if len(header) > MAX_METADATA_BYTES:
        raise BadHeader.field("Upload-Metadata", f"has more than {MAX_METADATA_BYTES} bytes")
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, text = pair.partition(" ")
        if name in found:
            raise BadHeader.field("Upload-Metadata", f"names {name!r} twice")
        try:
            found[name] = _decoded("Upload-Metadata", text).decode()
        except UnicodeDecodeError:
            raise BadHeader.field("Upload-Metadata", f"{name} is not UTF-8") from None
    return found


def metadata_header(metadata: Mapping[str, str]) -> str:
    """The same as it was sent."""
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}".rstrip() for name, text in metadata.items())


def http_date(at: datetime) -> str:
    """For `Upload-Expires`."""
    return format_datetime(at, usegmt=True)


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadHeader.field(name, f"{text[:40]!r} is not base64") from None
