"""Frames on their way into a dataset: what the pipeline found out about them, and the records that this becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from thornback.datasets import image_zip
from thornback.datasets.frame_set import DropReason, FrameRecord, FrameSet, VideoSource
from thornback.errors import DataError

_SUFFIXES: Mapping[str, Literal[".jpg", ".png"]] = {".jpg": ".jpg", ".jpeg": ".jpg", ".png": ".png"}
_AS_THEY_ARE = (
    "time_s",
    "scene",
    "width",
    "height",
    "kept",
    "reason",
    "explanation",
    "duplicate_of",
    "scores",
    "caption",
    "captioned_by",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFrame:
    """A frame as the pipeline made it; its id is the stem of its file."""

    path: Path  # JPEG or PNG
    time_s: float
    scene: int
    width: int  # pixels
    height: int
    kept: bool = True
    reason: DropReason | None = None
    explanation: str = ""
    duplicate_of: str | None = None  # an id
    scores: Mapping[str, float] = field(default_factory=dict)
    caption: str = ""
    captioned_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Whose dataset it is, and what it was made of."""

    job_id: str
    trigger_word: str
    default_caption: str  # of frames that come back without a caption
    source: VideoSource
    created_at: datetime


def described(frame: NewFrame, *, for_review: bool) -> FrameRecord:
    """The record of a frame whose picture is about to be stored. Raises DataError for another kind of file."""
    suffix = _SUFFIXES.get(frame.path.suffix.lower())
    if suffix is None:
        raise DataError(f"{frame.path.name} is neither a .jpg nor a .png")
    is_lost = frame.reason is DropReason.UNREADABLE
    return FrameRecord(
        id=frame.path.stem,
        suffix=suffix,
        stored="images" if frame.kept else "dropped" if for_review and not is_lost else None,
        size_bytes=frame.path.stat().st_size,
        sha256=image_zip.digest(frame.path),
        **{name: getattr(frame, name) for name in _AS_THEY_ARE},
    )


def assembled(origin: Origin, frames: Sequence[FrameRecord], *, sealed: bool) -> FrameSet:
    """The whole dataset. Raises DataError where two frames have one name, or none was kept."""
    twice = [id for id, count in Counter(frame.id for frame in frames).items() if count > 1]
    if twice:
        raise DataError(f"several frames are called {twice[0]}")
    if not any(frame.kept for frame in frames):
        raise DataError("no frame was good enough to train on")
    return FrameSet(frames=tuple(frames), sealed=sealed, settled=sealed, **vars(origin))
