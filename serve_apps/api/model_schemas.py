"""Models and their versions on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from serve_apps.api.schemas import EXAMPLE_ID, Wire
from thornback.jobs.status import JobStatus
from thornback.jobs.versions import MAX_NOTES, MAX_VERSION


class VersionOut(Wire):
    """One version of a model."""

    model: str = Field(examples=["mira"])
    version: int = Field(ge=1, description="From 1, without gaps; a deleted number is not given again.")
    aliases: list[str] = Field(examples=[["latest", "production"]], description="`latest` is the greatest number.")
    job_id: str = Field(examples=[EXAMPLE_ID], description="The job that made it.")
    model_url: str = Field(description="The weights, for anybody who has this link, until `url_expires_at`.")
    config_url: str = Field(description="Its config.json, likewise.")
    url_expires_at: datetime
    storage_key: str = Field(
        examples=[f"loras/local/{EXAMPLE_ID}/v3/model.safetensors"], description="Of the weights, below the storage."
    )
    size_bytes: int
    sha256: str
    created_at: datetime
    config: dict[str, Any] = Field(description="trigger, steps, learning_rate, class_names and more, where known.")
    notes: str


class VersionList(Wire):
    """Versions of a model, the newest first."""

    versions: list[VersionOut]
    total: int
    next_cursor: str | None


class ModelOut(Wire):
    """A model that has been trained once or more."""

    name: str = Field(examples=["mira"])
    user: str
    team: str | None = Field(description="Whose members see it: that of the job of its first version.")
    created_at: datetime
    versions: int = Field(description="How many there are.")
    aliases: dict[str, int] = Field(examples=[{"latest": 3, "production": 2}])
    latest: VersionOut


class ModelList(Wire):
    """Models, the newest first."""

    models: list[ModelOut]
    total: int
    next_cursor: str | None


class Difference(Wire):
    """One field that two versions do not have in common; null where a version does not have it."""

    field: str = Field(examples=["config.learning_rate"])
    a: Any
    b: Any


class Comparison(Wire):
    """Two versions side by side."""

    a: VersionOut
    b: VersionOut
    changed: list[Difference]
    same: dict[str, Any] = Field(description="The other fields.")


class LineageJob(Wire):
    """The job that made a version; it may have been deleted since."""

    id: str
    exists: bool
    kind: str | None
    job_name: str | None
    status: JobStatus | None
    parent_id: str | None


class LineageFrame(Wire):
    """A frame that the version was trained on."""

    id: str
    time_s: float = Field(description="Where in the video it is.")
    scene: int
    caption: str
    sha256: str
    image_url: str = Field(description="The picture, for a while.")


class LineageDataset(Wire):
    """The dataset as it is in the storage now."""

    key: str = Field(description="Its folder, below the storage.")
    revision: int
    kept: int
    dropped: dict[str, int] = Field(description="How many frames were left out for which reason.")
    frames: list[LineageFrame] = Field(description="Those that were trained on.")


class Lineage(Wire):
    """What a version is made of, from the job back to the video."""

    version: VersionOut
    job: LineageJob
    recorded: dict[str, Any] = Field(
        description="What was written down when it was made: `training`, `dataset`, and `video` where it began as one."
    )
    dataset: LineageDataset | None = Field(description="Null where it was not made here, or is deleted.")
    video: dict[str, Any] | None = Field(description="Name, checksum and size of the video that the frames are from.")


class RegisterVersion(Wire):
    """Which training is to become a version."""

    job_id: UUID = Field(description="A training that completed; it makes one version.")


class AliasTarget(Wire):
    """Where an alias is to point."""

    version: Annotated[int, Field(ge=1, le=MAX_VERSION)]


class VersionNotes(Wire):
    """What people say of a version."""

    notes: Annotated[str, Field(max_length=MAX_NOTES)]


class SeedVersion(Wire):
    """A version as the source's front ends know it."""

    version: int
    modelUrl: str  # noqa: N815 - its name on the wire
    s3Key: str  # noqa: N815 - its name on the wire
    sizeBytes: int  # noqa: N815 - its name on the wire
    createdAt: datetime  # noqa: N815 - its name on the wire
    config: dict[str, Any]
