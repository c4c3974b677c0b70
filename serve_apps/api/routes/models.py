"""Models and their versions: what was trained, again and again, under one name."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from serve_apps.api import model_views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import json_only
from serve_apps.api.model_schemas import (
    AliasTarget,
    Comparison,
    Lineage,
    LineageDataset,
    ModelList,
    ModelOut,
    RegisterVersion,
    VersionList,
    VersionNotes,
    VersionOut,
)
from serve_apps.api.model_views import Signer
from serve_apps.api.principal import Caller, Principal
from serve_apps.api.seen import check_sees
from serve_apps.api.urls import base_url
from thornback.artifacts.files import join
from thornback.artifacts.layout import MODEL_FILE, ONNX_FILE
from thornback.datasets.frame_folder import FrameFolder
from thornback.datasets.frame_set import FrameSet
from thornback.errors import DataError, Forbidden, JobNotFound, NotFound
from thornback.jobs.state import JobState
from thornback.jobs.versions import ALIAS_NAME, MODEL_NAME, VERSION_REF, ModelVersion
from thornback.models.lineage import ONNX_TYPE, config_of, lineage_of, weights_of
from thornback.models.publish import publish_version, remove_files
from thornback.store.models import ModelReader
from thornback.store.read import StoreReader

router = APIRouter(prefix="/api/v1/models", tags=["models"])

T = TypeVar("T")

ModelName = Annotated[str, Path(pattern=MODEL_NAME, max_length=100)]
VersionRef = Annotated[
    str, Path(pattern=VERSION_REF, max_length=100, description="A number, or an alias such as `latest`.")
]
Alias = Annotated[str, Path(pattern=ALIAS_NAME, max_length=100, description="Any word but `latest`.")]
Ref = Annotated[str, Query(pattern=VERSION_REF, max_length=100, description="A number or an alias.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,19}$", max_length=19, description="`next_cursor` of the page before.")
]
_MOVED: dict[int | str, dict[str, Any]] = {307: {"description": "Where the weights are, for a while."}}


def get_signer(context: Context, request: Request) -> Signer:
    """Links for whoever asks, at the address under which they reach us."""
    settings = context.settings
    base = base_url(request, settings).http("")
    return Signer(links=context.links, storage=settings.storage, base=base, now=datetime.now(UTC))


Sign = Annotated[Signer, Depends(get_signer)]


async def get_owner(
    caller: Caller,
    user: Annotated[str | None, Query(max_length=100, description="Whose model; left out: yours.")] = None,
) -> str:
    """Whose model the address is about."""
    return user or caller.user


Owner = Annotated[str, Depends(get_owner)]


@router.get("", summary="List models")
async def list_models(
    context: Context,
    caller: Caller,
    sign: Sign,
    user: Annotated[str | None, Query(max_length=100, description="Left out: your own and your teams'.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ModelList:
    """A page of models, the newest first, each with its latest version."""
    whose, teams = (caller.user, caller.teams) if user is None else (user, ())
    page = await _ask(context, caller, lambda models: models.models(whose, teams=teams, limit=limit, cursor=cursor))
    rows = await _sign(lambda: [model_views.model(row, sign) for row in page.models])
    return ModelList(models=rows, total=page.total, next_cursor=page.next_cursor)


@router.get("/{model}", summary="One model")
async def get_model(context: Context, caller: Caller, owner: Owner, sign: Sign, model: ModelName) -> ModelOut:
    """Its latest version, and where its aliases point."""
    return await _model(context, caller, owner, model, sign)


@router.get("/{model}/versions", summary="Versions of a model")
async def list_versions(
    context: Context,
    caller: Caller,
    owner: Owner,
    sign: Sign,
    model: ModelName,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> VersionList:
    """A page of versions, the newest first."""
    page = await _ask(context, caller, lambda models: models.versions(owner, model, limit=limit, cursor=cursor))
    versions = await _sign(lambda: [model_views.version(found, sign) for found in page.versions])
    return VersionList(versions=versions, total=page.total, next_cursor=page.next_cursor)


@router.post("/{model}/versions", status_code=201, dependencies=[Depends(json_only)], summary="Add a version")
async def add_version(
    context: Context, caller: Caller, sign: Sign, model: ModelName, body: RegisterVersion, response: Response
) -> VersionOut:
    """Make a finished training the next version of a model: a LoRA, or the ONNX file of a classifier.

    200 where it is one already.

    The file is copied and checked before the version is there. The model is made with its first version.
    """
    id = str(body.job_id)
    job, known = await context.read(lambda store: (store.job(id).state, ModelReader(store.engine).of_job(id)))
    check_sees(caller, job)
    if known is not None and (known.user, known.model) == (caller.user, model):
        response.status_code = 200
        return await _version(known, sign)
    weights = weights_of(job, context.settings)
    found = await publish_version(
        context.recorder,
        context.settings,
        model=model,
        user=caller.user,
        job_id=id,
        weights_uri=weights.uri,
        config=config_of(job),
        lineage=lineage_of(job),
        now=datetime.now(UTC),
        sha256=weights.sha256,
        is_onnx=weights.type == ONNX_TYPE,
    )
    response.headers["Location"] = f"{router.prefix}/{model}/versions/{found.version}"
    return await _version(found, sign)


@router.get("/{model}/compare", summary="Compare two versions")
async def compare_versions(
    context: Context, caller: Caller, owner: Owner, sign: Sign, model: ModelName, a: Ref, b: Ref = "latest"
) -> Comparison:
    """What differs in configuration and origin, field by field."""
    first, second = await _ask(
        context, caller, lambda models: (models.version(owner, model, a), models.version(owner, model, b))
    )
    return await _sign(lambda: model_views.comparison(first, second, sign))


@router.get("/{model}/versions/{version}", summary="One version")
async def get_version(
    context: Context, caller: Caller, owner: Owner, sign: Sign, model: ModelName, version: VersionRef
) -> VersionOut:
    """A version by its number or an alias, with a link to its weights."""
    return await _version(await _find(context, caller, owner, model, version), sign)


@router.get(
    "/{model}/versions/{version}/model.safetensors",
    status_code=307,
    response_class=RedirectResponse,
    responses=_MOVED,
    summary="The weights of a version",
)
async def get_weights(
    context: Context, caller: Caller, owner: Owner, sign: Sign, model: ModelName, version: VersionRef
) -> RedirectResponse:
    """An address that stays, e.g. of `production`; it leads to a link that holds for a while."""
    return await _lead(await _find(context, caller, owner, model, version), sign, MODEL_FILE)


@router.get(
    "/{model}/versions/{version}/model.onnx",
    status_code=307,
    response_class=RedirectResponse,
    responses=_MOVED,
    summary="The ONNX file of a version",
)
async def get_onnx(
    context: Context, caller: Caller, owner: Owner, sign: Sign, model: ModelName, version: VersionRef
) -> RedirectResponse:
    """The same of a classifier, from waveform to probabilities in one file."""
    return await _lead(await _find(context, caller, owner, model, version), sign, ONNX_FILE)


@router.get("/{model}/versions/{version}/lineage", summary="Where a version comes from")
async def get_lineage(
    context: Context, caller: Caller, owner: Owner, sign: Sign, model: ModelName, version: VersionRef
) -> Lineage:
    """The job, the dataset with its frames, and the video, as far as they are still there."""
    found = await _find(context, caller, owner, model, version)
    job = await context.read(lambda store: _job(store, found.job_id))
    return await _sign(lambda: _lineage(context, found, job, sign))


@router.patch("/{model}/versions/{version}", dependencies=[Depends(json_only)], summary="Write notes")
async def note_version(
    context: Context,
    caller: Caller,
    owner: Owner,
    sign: Sign,
    model: ModelName,
    version: VersionRef,
    body: VersionNotes,
) -> VersionOut:
    """Replace the notes of a version."""
    await _check_changes(context, caller, owner, model)
    found = await _find(context, caller, owner, model, version)
    await context.recorder.note_version(user=owner, model=model, version=found.version, notes=body.notes)
    return await _version(await _find(context, caller, owner, model, str(found.version)), sign)


@router.delete("/{model}/versions/{version}", status_code=204, summary="Delete a version")
async def delete_version(context: Context, caller: Caller, owner: Owner, model: ModelName, version: VersionRef) -> None:
    """Remove a version and its files; its number is not given again. 409 while it is in use."""
    await _check_changes(context, caller, owner, model)
    found = await _find(context, caller, owner, model, version)
    await context.recorder.delete_version(user=owner, model=model, version=found.version, by=caller.user)
    await remove_files(context.settings, found)


@router.put("/{model}/aliases/{alias}", dependencies=[Depends(json_only)], summary="Set an alias")
async def set_alias(
    context: Context, caller: Caller, owner: Owner, sign: Sign, model: ModelName, alias: Alias, body: AliasTarget
) -> ModelOut:
    """Let a word such as `production` mean a version. That version cannot be deleted as long as it does."""
    await _check_changes(context, caller, owner, model)
    await context.recorder.set_alias(
        user=owner, model=model, alias=alias, version=body.version, by=caller.user, at=datetime.now(UTC)
    )
    return await _model(context, caller, owner, model, sign)


@router.delete("/{model}/aliases/{alias}", status_code=204, summary="Remove an alias")
async def remove_alias(context: Context, caller: Caller, owner: Owner, model: ModelName, alias: Alias) -> None:
    """The version stays. 204 as well where there is no such alias."""
    await _check_changes(context, caller, owner, model)
    await context.recorder.set_alias(
        user=owner, model=model, alias=alias, version=None, by=caller.user, at=datetime.now(UTC)
    )


async def _ask(context: ApiContext, caller: Principal, question: Callable[[ModelReader], T]) -> T:
    return await context.read(lambda store: question(ModelReader(store.engine, caller.sight)))


async def _check_changes(context: ApiContext, caller: Principal, owner: str, model: str) -> None:
    """Raises NotFound where the caller may not know of the model, Forbidden where they may only look at it."""
    if owner == caller.user:
        return
    team = (await _ask(context, caller, lambda models: models.model(owner, model))).team
    if not caller.is_admin and team not in caller.teams:
        raise Forbidden(
            f"model {model} belongs to {owner}; only {owner}, trainers of its team and admins may change it"
        )


async def _sign(make: Callable[[], T]) -> T:
    """A link to S3 may need credentials that a file or another server has, so this is no work for the event loop."""
    return await anyio.to_thread.run_sync(make)


async def _find(context: ApiContext, caller: Principal, owner: str, model: str, ref: str) -> ModelVersion:
    return await _ask(context, caller, lambda models: models.version(owner, model, ref))


async def _lead(found: ModelVersion, sign: Signer, name: str) -> RedirectResponse:
    if (kept := posixpath.basename(found.key)) != name:
        raise NotFound(f"version {found.version} of {found.model} has no {name}, but a {kept}")
    url = await _sign(lambda: model_views.weights_url(found, sign))
    return RedirectResponse(url, headers={"Cache-Control": "no-store"})


async def _version(found: ModelVersion, sign: Signer) -> VersionOut:
    return await _sign(lambda: model_views.version(found, sign))


async def _model(context: ApiContext, caller: Principal, owner: str, model: str, sign: Signer) -> ModelOut:
    row = await _ask(context, caller, lambda models: models.model(owner, model))
    return await _sign(lambda: model_views.model(row, sign))


def _job(store: StoreReader, job_id: str) -> JobState | None:
    try:
        return store.job(job_id).state
    except JobNotFound:
        return None


def _lineage(context: ApiContext, found: ModelVersion, job: JobState | None, sign: Signer) -> Lineage:
    video: Any = found.lineage.get("video")
    recorded: Any = found.lineage.get("dataset")
    key = recorded.get("key") if isinstance(recorded, dict) else None
    dataset: LineageDataset | None = None
    if isinstance(key, str) and (frames := _frames(join(context.settings.storage, key))) is not None:
        dataset = model_views.lineage_dataset(key, frames, sign)
        video = video or frames.source.model_dump(mode="json", exclude_none=True)
    return Lineage(
        version=model_views.version(found, sign),
        job=model_views.lineage_job(found, job),
        recorded=dict(found.lineage),
        dataset=dataset,
        video=video if isinstance(video, dict) else None,
    )


def _frames(folder: str) -> FrameSet | None:
    """The dataset in a folder, None where it is deleted or cannot be read."""
    try:
        return FrameFolder(folder).read()
    except (NotFound, DataError):
        return None
