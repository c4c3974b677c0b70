"""What the source's front ends read and send: camelCase, on their own paths."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from serve_apps.api.schemas import EXAMPLE_ID, ProgressOrigin, Wire
from thornback.jobs.status import JobStatus


class CamelWire(Wire):
    """Base of these answers."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ModelStatus(CamelWire):
    """Where the training of a model stands."""

    id: str = Field(examples=[EXAMPLE_ID])
    name: str
    status: JobStatus
    progress: float = Field(ge=0, le=100)
    stage: str | None
    model_url: str | None = Field(
        description="`owner/name:version` at Replicate, else where the file is downloaded here; null before the end.",
        examples=["acme/my-lora:3c28fe86e5a4229dc26d9ecebc31208f016f249509703da2e0844ab9a296f58a"],
    )
    trigger_word: str | None
    error: str | None
    provider: str | None
    training_id: str | None = Field(description="The provider's id of the training.")
    url: str | None = Field(description="The provider's page about it.")
    created_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None


class TrainingLogs(ModelStatus):
    """The same with what the trainer printed, as the provider says it this moment."""

    provider_status: str = Field(
        description="In Replicate's words.", examples=["starting", "processing", "succeeded", "failed", "canceled"]
    )
    logs: str = Field(description="The last lines that it printed.")
    progress_origin: ProgressOrigin | None
    eta: datetime | None = Field(description="When it will be done.")
    eta_seconds: float | None
    synced: bool = Field(description="False: the provider could not be asked, and this is what is known without it.")
    sync_problem: str | None


class SyncRequest(BaseModel):
    """A training that may have finished without anybody noticing."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    model_id: Annotated[str, Field(min_length=1, max_length=255, description="The job's id, or Replicate's.")]
    replicate_model_version: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="Taken down as the version that the training made."),
    ] = None


class SyncAnswer(ModelStatus):
    """What is known now."""

    success: bool = True
    imported: bool = Field(description="True where the training was not known here before.")
