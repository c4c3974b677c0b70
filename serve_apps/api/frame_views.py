"""From a video's dataset to what goes over the wire. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from serve_apps.api.frame_schemas import FrameOut, FrameSetOut
from serve_apps.api.views import API_PREFIX
from thornback.datasets.frame_set import DropReason, FrameRecord, FrameSet
from thornback.jobs.state import JobState
from thornback.jobs.video_lora import is_in_review
from thornback.jobs.wishes import Wish


def in_review(job: JobState) -> bool:
    """True while a dataset waits for approval, whether a driver is there or not."""
    goes_on = job.final is None and not job.cancel_requested
    return goes_on and is_in_review(job.kind, job.stage) and Wish.APPROVE not in job.asked


def full(job: JobState, frames: FrameSet, page: Sequence[FrameRecord], *, total: int) -> FrameSetOut:
    """The dataset with one page of its frames, out of `total`."""
    kept = len(frames.kept)
    base = f"{API_PREFIX}/jobs/{job.id}/dataset"
    return FrameSetOut(
        job_id=job.id,
        revision=frames.revision,
        in_review=in_review(job),  # also where an approval was cut off: it can be given again
        sealed=frames.sealed,
        created_at=frames.created_at,
        trigger_word=frames.trigger_word,
        source=frames.source,
        kept=kept,
        dropped=len(frames.frames) - kept,
        reasons=frames.reasons,
        zip=frames.zip,
        zip_url=None if frames.zip is None else f"{base}/dataset.zip",
        frames=[_frame(base, frame) for frame in page],
        total=total,
    )


def _frame(base: str, frame: FrameRecord) -> FrameOut:
    # The digest makes the address one of its content, which browsers may keep.
    address, version = f"{base}/frames/{frame.id}", f"?v={frame.sha256[:12]}"
    has_thumbnail = frame.reason is not DropReason.UNREADABLE
    return FrameOut(
        **frame.model_dump(include=set(FrameOut.model_fields)),
        can_be_kept=frame.stored is not None,
        thumbnail_url=f"{address}/thumbnail{version}" if has_thumbnail else None,
        image_url=f"{address}/image{version}" if frame.stored is not None else None,
    )
