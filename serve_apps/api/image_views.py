"""Image sets and items as they go over the wire. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serve_apps.api.image_schemas import ImageSet, ImageSetSummary, ItemOut
from serve_apps.api.views import API_PREFIX, image_url
from thornback.artifacts.layout import storage_key
from thornback.errors import NotFound
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.prompts import expand
from thornback.jobs.state import JobState

KIND = "image_set"

# How many items stand so, with their newest order being the first, second, …
Counts = Mapping[tuple[ItemStatus, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of a set's images."""

    total: int
    done: int
    failed: int

    @property
    def success_rate(self) -> float | None:
        """Of those that ended; None before the first."""
        ended = self.done + self.failed
        return self.done / ended if ended else None


def config_of(job: JobState) -> ImageSetConfig:
    """What a set is made of. Raises NotFound for a job of another kind."""
    if job.kind != KIND:
        raise NotFound(f"job {job.id} is no image set but {job.kind}")
    return ImageSetConfig.model_validate(job.spec["config"])


def count(items: Sequence[ItemState]) -> Counts:
    """The counts of one set."""
    counts: dict[tuple[ItemStatus, int], int] = {}
    for item in items:
        key = item.status, item.order
        counts[key] = counts.get(key, 0) + 1
    return counts


def tally(job: JobState, config: ImageSetConfig, counts: Counts) -> Tally:
    """A failed image counts once it is given up: its last try is over, or the set is.

    When the set is over, one that was made and never stored has failed too.
    """
    is_over = job.status.is_final
    done = sum(number for (status, _), number in counts.items() if status is ItemStatus.STORED)
    failed = sum(
        number
        for (status, order), number in counts.items()
        if (status is ItemStatus.FAILED and (is_over or order >= config.max_tries))
        or (status is ItemStatus.SUCCEEDED and is_over)
    )
    return Tally(total=config.total, done=done, failed=failed)


def summary(job: JobState, counts: Counts) -> ImageSetSummary:
    """A row of the list."""
    return ImageSetSummary(**_summary(job, config_of(job), counts))


def full(job: JobState, items: Sequence[ItemState], storage: str) -> ImageSet:
    """A set with an entry for each image that it is to have."""
    config = config_of(job)
    prompts = expand(config)
    known = {state.item: state for state in items}
    return ImageSet(
        **_summary(job, config, count(items)),
        items=[
            item(known[number], storage, prompt) if number in known else _waiting(number, prompt)
            for number, prompt in enumerate(prompts, 1)
        ],
        zip_url=f"/api/v1/image-sets/{job.id}/images.zip",
        events_url=f"{API_PREFIX}/jobs/{job.id}/events",
    )


def item(state: ItemState, storage: str, prompt: str | None) -> ItemOut:
    """One item."""
    is_image = state.status is ItemStatus.STORED and (state.content_type or "").startswith("image/")
    return ItemOut(
        item=state.item,
        status=state.status.value,
        order=state.order,
        prompt=prompt,
        provider=state.provider or None,
        provider_id=state.provider_id,
        intended_at=state.intended_at,
        sent_at=state.sent_at,
        ended_at=state.ended_at,
        webhook_at=state.webhook_at,
        via=state.via,
        error=state.error,
        storage_key=None if state.uri is None else storage_key(storage, state.uri),
        image_url=image_url(state.job_id, state.item) if is_image else None,
        content_type=state.content_type,
        size_bytes=state.size_bytes,
        sha256=state.sha256,
    )


def _waiting(number: int, prompt: str) -> ItemOut:
    nothing = dict.fromkeys(ItemOut.model_fields)
    return ItemOut(**{**nothing, "item": number, "status": "waiting", "order": 0, "prompt": prompt})


def _summary(job: JobState, config: ImageSetConfig, counts: Counts) -> dict[str, Any]:
    found = tally(job, config, counts)
    return {
        "id": job.id,
        "job_name": job.job_name,
        "character": config.character,
        "backend": job.backend,
        "user": job.user,
        "status": job.status,
        "progress_percent": job.progress_percent,
        "total": found.total,
        "done": found.done,
        "failed": found.failed,
        "success_rate": found.success_rate,
        "error_message": job.error_message,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
    }
