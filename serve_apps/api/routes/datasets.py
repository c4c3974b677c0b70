"""Datasets that people send: a ZIP of pictures and captions, read whole before it is kept."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from uuid_utils import uuid7

from serve_apps.api.awake import IDLE_S, awake
from serve_apps.api.context import Context
from serve_apps.api.image_schemas import DatasetOut
from serve_apps.api.principal import Caller
from serve_apps.api.problems import BodyTooLarge, UnsupportedMediaType
from thornback.artifacts.files import locate
from thornback.artifacts.uploads import note_owner
from thornback.datasets.image_zip import ZipReport, check_zip
from thornback.datasets.packing import upload_uri
from thornback.errors import InvalidInput
from thornback.settings import Settings

router = APIRouter(prefix="/api/v1/datasets", tags=["datasets"])

_TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/octet-stream"})
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", status_code=201, openapi_extra=_BODY, summary="Send a dataset")
async def upload_dataset(context: Context, caller: Caller, request: Request) -> DatasetOut:
    """Send a ZIP of pictures, with same-name .txt captions or without, as the body. `uri` is for `config.dataset`."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _TYPES:
        raise UnsupportedMediaType(f"send a ZIP as application/zip, not as {content_type or 'unnamed bytes'}")
    most, id = context.settings.dataset_max_bytes, str(uuid7())
    with tempfile.TemporaryDirectory(prefix="thornback-upload-") as folder:
        path = Path(folder) / "dataset.zip"
        await _receive(request, path, most)
        report = await anyio.to_thread.run_sync(_keep, path, context.settings, id, caller.user)
    return DatasetOut(
        id=id,
        uri=f"upload:{id}",
        images=report.images,
        captions=report.captions,
        size_bytes=report.size_bytes,
        sha256=report.sha256,
    )


async def _receive(request: Request, path: Path, most: int) -> None:
    """Write the body to a file as it comes. Raises BodyTooLarge as soon as that shows."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise _too_large(most)
    received = 0
    async with await anyio.open_file(path, "wb") as file:
        try:
            async for chunk in awake(request.stream(), IDLE_S):
                received += len(chunk)
                if received > most:
                    raise _too_large(most)
                await file.write(chunk)
        except (ClientDisconnect, TimeoutError):
            raise InvalidInput.field("body", "it ended before it was whole") from None


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"the ZIP has more than the {most} bytes that are taken (THORNBACK_DATASET_MAX_BYTES)")


def _keep(path: Path, settings: Settings, id: str, user: str) -> ZipReport:
    report = check_zip(path, max_bytes=settings.dataset_max_bytes)
    note_owner(settings.storage, id, user)
    locate(upload_uri(settings.storage, id)).upload(path)
    return report
