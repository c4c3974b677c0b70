"""Image sets, items and datasets on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from serve_apps.api.schemas import EXAMPLE_ID, Wire
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.spec import Provider
from thornback.jobs.status import JobStatus

MEANINGS = (
    "waiting (not ordered yet), intended, sent, processing, succeeded (made, its file is not here yet), "
    "failed, cancelled or stored."
)


class ImageSetRequest(ImageSetConfig):
    """A set to be made: the configuration of a job of kind `image_set`, flat."""

    job_name: Annotated[
        str | None, Field(min_length=1, max_length=255, description="Left out: the character and how many images.")
    ] = None
    backend: Annotated[Provider | None, Field(description="Left out: the provider that is set up here.")] = None
    priority: Annotated[int, Field(ge=-100, le=100, description="Higher starts first.")] = 0
    tags: Annotated[dict[str, str], Field(max_length=32, description="Your own labels.")] = {}


class ItemOut(Wire):
    """One order at a provider, the newest for its item: an image of a set, or a training."""

    item: int = Field(description="Its number within the job, from 1.")
    status: str = Field(examples=["stored"], description=f"One of {MEANINGS}")
    order: int = Field(description="Which order for this item: 1 for the first, 0 before it.")
    prompt: str | None = Field(description="Of an image.")
    provider: str | None
    provider_id: str | None
    intended_at: datetime | None
    sent_at: datetime | None
    ended_at: datetime | None
    webhook_at: datetime | None = Field(description="When a webhook told the end; null where another way did.")
    via: str | None = Field(examples=["webhook", "poll", "sync"], description="How the end was heard of.")
    error: str | None = Field(description="In the provider's words.")
    storage_key: str | None = Field(
        examples=[f"training-images/{EXAMPLE_ID}/ada_training_01.jpg"], description="Where it lies below the storage."
    )
    image_url: str | None = Field(description="Where to see it, relative to this server.")
    content_type: str | None
    size_bytes: int | None
    sha256: str | None


class ItemList(Wire):
    """The items of a job that have been ordered, by number; none for a job of this cluster."""

    job_id: str
    items: list[ItemOut]


class ImageSetSummary(Wire):
    """How far a set is."""

    id: str = Field(examples=[EXAMPLE_ID], description="The id of its job.")
    job_name: str
    character: str
    backend: str
    user: str
    status: JobStatus
    progress_percent: float = Field(ge=0, le=100)
    total: int
    done: int = Field(description="Images that are stored.")
    failed: int = Field(description="Images that were given up; one that will be ordered again does not count.")
    success_rate: float | None = Field(ge=0, le=1, description="Of the images that ended; null before the first.")
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class ImageSet(ImageSetSummary):
    """A set with all its images, those not yet ordered too."""

    items: list[ItemOut]
    zip_url: str = Field(description="What is stored, with captions, as one ZIP.")
    events_url: str = Field(description="Live: `item` events as each image arrives.")


class ImageSetList(Wire):
    """A page of sets, the newest first."""

    image_sets: list[ImageSetSummary]
    total: int
    next_cursor: str | None


class DatasetOut(Wire):
    """A dataset that was sent."""

    id: str
    uri: str = Field(examples=[f"upload:{EXAMPLE_ID}"], description="Use it as `config.dataset`.")
    images: int
    captions: int = Field(description="Images that have one.")
    size_bytes: int
    sha256: str
