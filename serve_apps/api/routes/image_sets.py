"""Image sets: N pictures of a character in one request. Each set is a job of kind `image_set`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Response

from serve_apps.api import image_views
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.create import IdempotencyKey, create, json_only
from serve_apps.api.files import disposition
from serve_apps.api.image_schemas import ImageSet, ImageSetList, ImageSetRequest
from serve_apps.api.principal import Caller
from serve_apps.api.remote_specs import check_spec
from serve_apps.api.routes.jobs import cancel_job
from serve_apps.api.sse import LiveResponse
from serve_apps.api.zip_stream import StoredImage, zip_stream
from thornback.artifacts.files import locate
from thornback.artifacts.layout import image_name, storage_key
from thornback.datasets.packing import captioned
from thornback.errors import InvalidInput, NotFound
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.prompts import expand
from thornback.jobs.spec import ImageSetSpec, parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.providers.open import KEYS, configured
from thornback.settings import Settings
from thornback.store.page import JobQuery

router = APIRouter(prefix="/api/v1/image-sets", tags=["image sets"])

_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The client has it."},
}
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What is stored so far. `X-Images-Included` of `X-Images-Total` images are in it.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
# Browsers show these; whatever else a file may be is only handed over.
_SHOWN = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"})


@router.post("", status_code=201, dependencies=[Depends(json_only)], summary="Make a set of images")
async def create_image_set(
    context: Context,
    caller: Caller,
    response: Response,
    body: ImageSetRequest,
    idempotency_key: IdempotencyKey = None,
) -> ImageSet:
    """Order all images of a set at once. They are stored as they come; those that fail are ordered again."""
    with _flat_names():
        spec = _spec(body, context.settings)
        check_spec(spec, context.settings, context.catalogue)
    request = {"path": "image-sets", "body": body.model_dump(mode="json", exclude_unset=True)}
    made = await create(context, caller, spec, response, key=idempotency_key, request=request)
    response.headers["Location"] = f"{router.prefix}/{made.id}"
    return await _full(context, made.id)


@router.get("", summary="List image sets")
async def list_image_sets(
    context: Context,
    caller: Caller,
    status: Annotated[list[JobStatus] | None, Query(description="One or several.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before.")] = None,
) -> ImageSetList:
    """A page of sets, the newest first."""
    query = JobQuery(kind=image_views.KIND, status=tuple(status or ()), limit=limit, cursor=cursor, sight=caller.sight)
    page = await context.read(lambda store: store.jobs(query))
    jobs = [row.state for row in page.jobs]
    counts = await context.read(lambda store: store.item_counts([job.id for job in jobs]))
    return ImageSetList(
        image_sets=[image_views.summary(job, counts[job.id]) for job in jobs],
        total=page.total,
        next_cursor=page.next_cursor,
    )


@router.get("/{set_id}", summary="One image set")
async def get_image_set(context: Context, set_id: UUID) -> ImageSet:
    """A set with every image that it has or is to have."""
    return await _full(context, str(set_id))


@router.post("/{set_id}/cancel", status_code=202, summary="Cancel an image set")
async def cancel_image_set(context: Context, caller: Caller, set_id: UUID) -> ImageSet:
    """Order nothing more and stop what is under way. What is stored stays."""
    await _full(context, str(set_id))
    await cancel_job(context, caller, set_id)
    return await _full(context, str(set_id))


@router.get("/{set_id}/images.zip", response_class=Response, responses=_ZIP, summary="All images of a set")
async def download_images(
    context: Context,
    set_id: UUID,
    trigger_word: Annotated[
        str | None, Query(min_length=1, max_length=100, description="Put in front of captions that do not hold it.")
    ] = None,
) -> Response:
    """The images that are stored with their prompts as same-name .txt captions: a dataset as trainers take it."""
    job, items = await _read(context, str(set_id))
    config = image_views.config_of(job)
    prompts = expand(config)
    images = [
        StoredImage(
            name=image_name(config.character, item.item),
            uri=_uri_of(context.settings, item),
            caption=captioned(prompts[item.item - 1], trigger_word),
        )
        for item in items
        if item.status is ItemStatus.STORED
    ]
    if not images:
        raise NotFound("the set has no image yet")
    name = image_name(config.character, 1).removesuffix("_01.jpg")
    headers = disposition(f"{name}.zip") | {
        "X-Images-Total": str(config.total),
        "X-Images-Included": str(len(images)),
    }
    comment = f"{len(images)} of {config.total} images of set {job.id}"
    return LiveResponse(zip_stream(images, comment=comment), media_type="application/zip", headers=headers)


@router.get("/{set_id}/images/{number}", response_class=Response, responses=_IMAGE, summary="One image")
async def get_image(
    context: Context,
    set_id: UUID,
    number: Annotated[int, Path(ge=1, le=100_000)],
    if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """The picture itself. It never changes, so that browsers may keep it."""
    _, items = await _read(context, str(set_id))
    item = next((item for item in items if item.item == number), None)
    if item is None or item.status is not ItemStatus.STORED:
        raise NotFound(f"image {number} is not here" + (f": {item.error}" if item is not None and item.error else ""))
    headers = {"Cache-Control": "private, max-age=86400"}
    if item.sha256 is not None:
        headers["ETag"] = f'"{item.sha256}"'
        if if_none_match is not None and headers["ETag"] in if_none_match:
            return Response(status_code=304, headers=headers)
    content = await anyio.to_thread.run_sync(locate(_uri_of(context.settings, item)).read_bytes)
    media_type = item.content_type if item.content_type in _SHOWN else "application/octet-stream"
    return Response(content, media_type=media_type, headers=headers)


def _spec(body: ImageSetRequest, settings: Settings) -> ImageSetSpec:
    known = configured(settings)
    if body.backend is None and not known:
        raise InvalidInput.field("backend", f"no provider is set up here: set {' or '.join(KEYS.values())}")
    config = {name: value for name, value in body if name in ImageSetConfig.model_fields}
    count = ImageSetConfig(**config).total
    spec = parse_spec(
        {
            "kind": image_views.KIND,
            "backend": body.backend or known[0],
            "job_name": body.job_name or f"{body.character}, {count} image{'s' if count > 1 else ''}",
            "priority": body.priority,
            "tags": body.tags,
            "config": config,
        }
    )
    assert isinstance(spec, ImageSetSpec)  # noqa: S101 - by its kind
    return spec


async def _full(context: ApiContext, set_id: str) -> ImageSet:
    job, items = await _read(context, set_id)
    return image_views.full(job, items, context.settings.storage)


async def _read(context: ApiContext, set_id: str) -> tuple[JobState, Sequence[ItemState]]:
    job, items = await context.read(lambda store: (store.job(set_id).state, store.items(set_id)))
    image_views.config_of(job)
    return job, items


def _uri_of(settings: Settings, item: ItemState) -> str:
    """Where an image lies. Raises NotFound for one that is kept elsewhere than in the folder of its set."""
    key = storage_key(settings.storage, item.uri or "")
    if posixpath.dirname(posixpath.normpath(key)) != f"training-images/{item.job_id}":
        raise NotFound(f"image {item.item} is not in the folder of its set")
    return item.uri or ""


@contextmanager
def _flat_names() -> Iterator[None]:
    """The body is flat, so a field of the configuration goes by its own name."""
    try:
        yield
    except InvalidInput as error:
        errors = [{**item, "field": item["field"].removeprefix("config.")} for item in error.details.get("errors", [])]
        raise InvalidInput(error.message.replace("config.", ""), errors=errors) from None
