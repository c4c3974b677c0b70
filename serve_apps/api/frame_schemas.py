"""Datasets made from videos on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from serve_apps.api.schemas import Wire
from thornback.datasets.frame_set import DropReason, FrameEdit, VideoSource, ZipRecord

MOST_EDITS = 2000


class FrameOut(Wire):
    """One frame, kept or dropped."""

    id: str
    time_s: float = Field(description="Where in the video it is.")
    scene: int = Field(description="Number of its scene, from 0.")
    width: int
    height: int
    size_bytes: int
    kept: bool
    reason: DropReason | None = Field(description="Why it was dropped.")
    explanation: str = Field(description="The reason with its figures, for people.")
    duplicate_of: str | None = Field(description="The frame that stays in its place.")
    scores: dict[str, float] = Field(description="What was measured.")
    caption: str
    captioned_by: str = Field(description="`user`, `template`, or the model that wrote it.")
    can_be_kept: bool = Field(description="Its full picture is there, so that it can be taken back in a review.")
    thumbnail_url: str | None = Field(description="A JPEG, relative to this server; null: it was no picture.")
    image_url: str | None = Field(description="The full picture; null where only the thumbnail was kept.")


class FrameSetOut(Wire):
    """What a pipeline from a video made to train on."""

    job_id: str
    revision: int = Field(description="To be sent back with changes.")
    in_review: bool = Field(description="It waits for approval, and can be changed where it is not sealed.")
    sealed: bool = Field(description="Approved, or made without a review: nothing changes any more.")
    created_at: datetime
    trigger_word: str
    source: VideoSource
    kept: int
    dropped: int
    reasons: dict[DropReason, int] = Field(description="How many were dropped for which reason.")
    zip: ZipRecord | None = Field(description="Made once, after the review.")
    zip_url: str | None = Field(description="Where to download it, relative to this server.")
    frames: list[FrameOut] = Field(description="This page, in the order of the video.")
    total: int = Field(description="Frames that match, on all pages.")


class FrameSetChange(BaseModel):
    """What somebody who reviews a dataset changes."""

    model_config = ConfigDict(extra="forbid")

    revision: Annotated[int, Field(ge=1, description="On which the changes were made; another one is a conflict.")]
    frames: Annotated[
        dict[str, FrameEdit],
        Field(
            min_length=1,
            max_length=MOST_EDITS,
            description="By id of the frame.",
            examples=[{"0012": {"kept": False}, "0013": {"caption": "[trigger] from behind"}}],
        ),
    ]


class Approval(BaseModel):
    """What is approved."""

    model_config = ConfigDict(extra="forbid")

    revision: Annotated[
        int | None, Field(ge=1, description="The one that was looked at; left out: whichever it is by now.")
    ] = None
