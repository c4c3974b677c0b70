"""The storage: how full it is, and deleting what may go."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio.to_thread
from fastapi import APIRouter
from pydantic import Field

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.schemas import Wire
from thornback.artifacts.files import without_secrets
from thornback.artifacts.sweep import sweep
from thornback.errors import Unavailable

router = APIRouter(prefix="/api/v1/storage", tags=["storage"])


class AreaOut(Wire):
    """A part of the storage."""

    name: str = Field(examples=["loras", "runs"])
    files: int
    size_bytes: int


class StorageOut(Wire):
    """How much lies where."""

    storage: str
    measured_at: datetime | None = Field(description="Null: the first look is under way.")
    is_measuring: bool
    problem: str | None = Field(description="Why it could not be looked at.")
    areas: list[AreaOut]


class SweptOut(Wire):
    """What has gone."""

    files: int
    size_bytes: int


@router.get("", summary="How full the storage is")
async def get_storage(context: Context) -> StorageOut:
    """The last look. One that is long ago makes another begin, which the next question finds."""
    context.storage_usage.refresh()
    return _storage(context)


@router.post("/measure", status_code=202, summary="Look again")
async def measure_storage(context: Context) -> StorageOut:
    """Begin to look now."""
    context.storage_usage.refresh(anew=True)
    return _storage(context)


@router.post("/sweep", summary="Delete what may go")
async def sweep_storage(context: Context) -> SweptOut:
    """Temporary files of a day ago and what broken writes left; the platform does it every hour as well."""
    now = datetime.now(UTC)
    try:
        swept = await anyio.to_thread.run_sync(lambda: sweep(context.settings.storage, now=now))
    except OSError as error:
        raise Unavailable(f"not everything could be deleted: {error}; try again later") from error
    context.storage_usage.refresh(anew=True)
    return SweptOut(files=swept.files, size_bytes=swept.size_bytes)


def _storage(context: ApiContext) -> StorageOut:
    usage = context.storage_usage
    last = usage.last
    return StorageOut(
        storage=without_secrets(context.settings.storage),
        measured_at=last.at if last else None,
        is_measuring=usage.is_measuring,
        problem=last.problem if last else None,
        areas=[AreaOut(name=area.name, files=area.files, size_bytes=area.size_bytes) for area in last.areas]
        if last
        else [],
    )
