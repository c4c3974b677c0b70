"""What a run produced: list and download. Only names that the job knows, only inside its run folder."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path as LocalPath
from typing import Annotated, Any
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Header, Path, Response

from serve_apps.api import views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.files import disposition, file_answer, tar_stream
from serve_apps.api.schemas import ArtifactList
from serve_apps.api.sse import LiveResponse
from thornback.artifacts.files import Location, locate, without_secrets
from thornback.errors import NotFound
from thornback.jobs.state import Artifact

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs/{{job_id}}/artifacts", tags=["artifacts"])

_BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file; a folder (a checkpoint, event files) comes as one tar archive.",
        "content": _BINARY | {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The asked bytes of a file.", "content": _BINARY},
}

# What pages show or play in place; never a type that could bring scripts.
_SHOWN = {".png": "image/png", ".wav": "audio/wav", ".json": "application/json"}
_SHOWN_TYPES = frozenset({"sample", "examples"})


@router.get("", summary="Artifacts of a job")
async def list_artifacts(context: Context, job_id: UUID) -> ArtifactList:
    """Everything that can be downloaded, by name."""
    id = str(job_id)
    row = await context.read(lambda store: store.job(id))
    return ArtifactList(job_id=id, artifacts=views.artifacts(row.state))


@router.get("/{name:path}", response_class=Response, responses=ANSWERS, summary="Download an artifact")
async def download_artifact(
    context: Context,
    job_id: UUID,
    name: Annotated[str, Path(max_length=1024)],
    byte_range: Annotated[str | None, Header(alias="Range", description="`bytes=first-last`, one range.")] = None,
    if_range: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """A file, or a part of it; a folder as a tar archive, a file below a folder under its path."""
    id = str(job_id)
    row = await context.read(lambda store: store.job(id))
    artifact, rest = _find(row.state.artifacts.values(), name)
    return await anyio.to_thread.run_sync(_answer, context, id, artifact, rest, byte_range, if_range)


def _answer(
    context: ApiContext, job_id: str, artifact: Artifact, rest: str, byte_range: str | None, if_range: str | None
) -> Response:
    place = _inside_run(context, job_id, artifact)
    if place.is_dir():
        files = [entry for entry in place.files() if _is_inside(place / entry.path, place)]  # links may lead out
        if not rest:
            return LiveResponse(
                tar_stream(place, files),
                media_type="application/x-tar",
                headers=disposition(f"{posixpath.basename(artifact.name)}.tar"),
            )
        if rest not in {entry.path for entry in files}:
            raise NotFound(f"artifact {artifact.name} holds no {rest}")
        place = place / rest
    elif rest:
        raise NotFound(f"artifact {artifact.name} is one file")
    return _file(place, artifact, rest, byte_range, if_range)


def _file(place: Location, artifact: Artifact, rest: str, byte_range: str | None, if_range: str | None) -> Response:
    # The digest names the content; without one (a file below a folder) nothing promises that it stays the same.
    etag = f'"{artifact.sha256}"' if artifact.sha256 and not rest else None
    name = rest or artifact.name
    shown = _SHOWN.get(posixpath.splitext(name)[1]) if artifact.type in _SHOWN_TYPES else None
    return file_answer(
        place,
        etag=etag,
        media_type=shown or "application/octet-stream",
        headers=disposition(posixpath.basename(name), shows=shown is not None),
        byte_range=byte_range,
        if_range=if_range,
    )


def _find(artifacts: Iterable[Artifact], name: str) -> tuple[Artifact, str]:
    """The artifact of this name, or the one that the path begins with and the path below it."""
    known = {artifact.name: artifact for artifact in artifacts}
    if name in known:
        return known[name], ""
    parts = name.split("/")
    for count in range(len(parts) - 1, 0, -1):
        head = "/".join(parts[:count])
        if head in known:
            return known[head], "/".join(parts[count:])
    raise NotFound(f"the job has no artifact {name}")


def _inside_run(context: ApiContext, job_id: str, artifact: Artifact) -> Location:
    """Where the artifact lies. Raises NotFound for one that a run keeps elsewhere."""
    root, place = locate(context.settings.run_uri(job_id)), locate(artifact.uri)
    if not place.is_beside(root) or not _is_inside(place, root):
        raise NotFound(f"artifact {artifact.name} is kept outside the run folder, at {without_secrets(artifact.uri)}")
    if not place.exists():
        raise NotFound(f"the file of artifact {artifact.name} is gone")
    return place


def _is_inside(place: Location, folder: Location) -> bool:
    return f"{_real(place)}/".startswith(f"{_real(folder)}/")


def _real(place: Location) -> str:
    """The path with links and dots resolved, as far as its file system has them."""
    if place.is_local:
        return str(LocalPath(place.path).resolve())
    return posixpath.normpath(place.path)
