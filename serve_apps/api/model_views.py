"""Models and versions as they go over the wire. Signing links is all that they ask of the storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from serve_apps.api.model_schemas import (
    Comparison,
    Difference,
    LineageDataset,
    LineageFrame,
    LineageJob,
    ModelOut,
    SeedVersion,
    VersionOut,
)
from thornback.artifacts.files import join
from thornback.artifacts.layout import CONFIG_FILE
from thornback.artifacts.links import Links
from thornback.datasets.frame_folder import IMAGES
from thornback.datasets.frame_set import FrameSet
from thornback.jobs.state import JobState
from thornback.jobs.versions import ModelVersion
from thornback.store.models import ModelRow

LINKS_HOLD = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Makes the links of one answer."""

    links: Links
    storage: str
    base: str  # how the client reaches this server
    now: datetime

    @property
    def expires_at(self) -> datetime:
        """Until when they hold."""
        return self.now + LINKS_HOLD

    def url(self, key: str, *, filename: str | None = None) -> str:
        """The link of a file."""
        uri = join(self.storage, key)
        return self.links.url(uri, expires_s=LINKS_HOLD.total_seconds(), filename=filename, base=self.base)


def version(found: ModelVersion, sign: Signer) -> VersionOut:
    """One version."""
    return VersionOut(
        model=found.model,
        version=found.version,
        aliases=list(found.names),
        job_id=found.job_id,
        model_url=weights_url(found, sign),
        config_url=sign.url(f"{_folder(found)}/{CONFIG_FILE}"),
        url_expires_at=sign.expires_at,
        storage_key=found.key,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        created_at=found.created_at,
        config=dict(found.config),
        notes=found.notes,
    )


def seed_version(found: ModelVersion, sign: Signer) -> SeedVersion:
    """The same under the names that the source's front ends know."""
    return SeedVersion(
        version=found.version,
        modelUrl=weights_url(found, sign),
        s3Key=found.key,
        sizeBytes=found.size_bytes,
        createdAt=found.created_at,
        config=dict(found.config),
    )


def weights_url(found: ModelVersion, sign: Signer) -> str:
    """The link of the weights, which are saved under a name of their own."""
    return sign.url(found.key, filename=f"{found.model}-v{found.version}{PurePosixPath(found.key).suffix}")


def model(row: ModelRow, sign: Signer) -> ModelOut:
    """One model."""
    return ModelOut(
        name=row.name,
        user=row.user,
        team=row.team,
        created_at=row.created_at,
        versions=row.versions,
        aliases=dict(row.aliases),
        latest=version(row.latest, sign),
    )


def comparison(a: ModelVersion, b: ModelVersion, sign: Signer) -> Comparison:
    """What differs in configuration, lineage and size, field by field, and what does not."""
    mine, theirs = _fields(a), _fields(b)
    names = sorted(mine.keys() | theirs.keys())
    changed = [
        Difference(field=name, a=mine.get(name), b=theirs.get(name))
        for name in names
        if mine.get(name) != theirs.get(name)
    ]
    differing = {difference.field for difference in changed}
    same = {name: mine.get(name) for name in names if name not in differing}
    return Comparison(a=version(a, sign), b=version(b, sign), changed=changed, same=same)


def lineage_job(found: ModelVersion, job: JobState | None) -> LineageJob:
    """The job of a version, None where it is deleted."""
    if job is None:
        return LineageJob(id=found.job_id, exists=False, kind=None, job_name=None, status=None, parent_id=None)
    return LineageJob(
        id=job.id, exists=True, kind=job.kind, job_name=job.job_name, status=job.status, parent_id=job.parent_id
    )


def lineage_dataset(key: str, frames: FrameSet, sign: Signer) -> LineageDataset:
    """What a version was trained on."""
    return LineageDataset(
        key=key,
        revision=frames.revision,
        kept=len(frames.kept),
        dropped={reason.value: count for reason, count in frames.reasons.items()},
        frames=[
            LineageFrame(
                id=frame.id,
                time_s=frame.time_s,
                scene=frame.scene,
                caption=frame.caption,
                sha256=frame.sha256,
                image_url=sign.url(f"{key}/{frame.stored or IMAGES}/{frame.file}"),
            )
            for frame in frames.kept
        ],
    )


def _folder(found: ModelVersion) -> str:
    return found.key.rpartition("/")[0]


def _fields(found: ModelVersion) -> dict[str, Any]:
    """Flat, with dotted names; the identity of job and file is in no comparison."""
    fields = _flat({"config": found.config, "lineage": found.lineage, "size_bytes": found.size_bytes})
    return {name: value for name, value in fields.items() if not name.endswith((".job_id", ".provider_id"))}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
