"""What a job ordered at its provider, item by item."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from serve_apps.api import image_views, views
from serve_apps.api.context import Context
from serve_apps.api.image_schemas import ItemList
from thornback.jobs.prompts import expand

router = APIRouter(prefix=f"{views.API_PREFIX}/jobs", tags=["jobs"])


@router.get("/{job_id}/items", summary="Items of a job")
async def list_items(context: Context, job_id: UUID) -> ItemList:
    """Each item with its newest order: the images of a set, or the one training of a job at a provider."""
    id = str(job_id)
    job, items = await context.read(lambda store: (store.job(id).state, store.items(id)))
    prompts = expand(image_views.config_of(job)) if job.kind == image_views.KIND else []
    storage = context.settings.storage
    return ItemList(
        job_id=id,
        items=[
            image_views.item(item, storage, prompts[item.item - 1] if item.item <= len(prompts) else None)
            for item in items
        ],
    )
