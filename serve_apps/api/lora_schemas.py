"""What the source's front ends send and read about LoRAs from videos: camelCase, on their own paths."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from serve_apps.api.model_schemas import SeedVersion
from serve_apps.api.schemas import EXAMPLE_ID
from serve_apps.api.seed_schemas import CamelWire

SeedStatus = Literal["queued", "processing", "completed", "failed"]


class LoraRequest(BaseModel):
    """A video to make a LoRA of. Everything else has its default; all that there is: kind `video_lora` of jobs."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    video_url: Annotated[
        str,
        Field(min_length=1, max_length=4096, description="https://, http://, s3:// or `upload:<id>`."),
    ]
    trigger_word: Annotated[
        str, Field(min_length=1, max_length=100, description="The word that will call the subject.")
    ]
    name: Annotated[str | None, Field(min_length=1, max_length=255, description="Left out: the trigger word.")] = None
    model: Annotated[str | None, Field(max_length=100, description="The model that gets the version.")] = None
    provider: Annotated[Literal["fal", "replicate", "ray"], Field(description="Who trains; ray: this cluster.")] = "fal"
    steps: Annotated[int | None, Field(ge=1, le=100_000)] = None
    learning_rate: Annotated[float | None, Field(gt=0.0, le=10.0)] = None
    review: Annotated[bool, Field(description="Wait for approval of the dataset.")] = False
    options: Annotated[
        dict[str, Any],
        Field(max_length=64, description="Further fields of a `video_lora` configuration under their own names."),
    ] = {}


class LoraStatus(CamelWire):
    """Where it stands."""

    job_id: str = Field(examples=[EXAMPLE_ID])
    name: str
    status: SeedStatus = Field(description="A cancelled one has failed, and `error` says so.")
    progress: float = Field(ge=0, le=100)
    stage: str | None = Field(description="What it is doing, in words.")
    eta_seconds: float | None
    error: str | None
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    training_id: str | None = Field(description="The job that trains, once there is one.")
    frame_count: int | None
    versions: list[SeedVersion]
