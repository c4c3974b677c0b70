"""A dataset made from the frames of a video: what `dataset.json` says of each frame, and what people may change in it.

Everything here is pure; `datasets.frame_folder` keeps it in the storage.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from thornback.datasets.captioned import caption_for
from thornback.errors import Conflict, InvalidInput

MAX_CAPTION = 5000  # characters


class DropReason(StrEnum):
    """Why a frame is not in the dataset."""

    UNREADABLE = "unreadable"
    SMALL = "too_small"
    DARK = "too_dark"
    BRIGHT = "too_bright"
    PLAIN = "low_detail"
    BLURRED = "blurred"
    NO_FACE = "no_face"
    DUPLICATE = "near_duplicate"
    SURPLUS = "surplus"  # good, but more than were asked for
    USER = "dropped_by_user"


class FrameRecord(BaseModel):
    """One frame, kept or dropped."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="The stem of its files.")]
    suffix: Literal[".jpg", ".png"]
    time_s: float = Field(description="Where in the video it is.")
    scene: int = Field(description="Number of its scene, from 0.")
    width: int
    height: int
    size_bytes: int
    sha256: str = Field(description="Of the picture.")
    stored: Literal["images", "dropped"] | None = Field(
        description="The folder that its picture lies in; null where only a thumbnail was kept."
    )
    kept: bool
    reason: DropReason | None = None
    explanation: str = ""
    duplicate_of: str | None = None
    scores: dict[str, float] = {}
    caption: str = ""
    captioned_by: str = Field(default="", description="`user`, `template`, or the model that wrote it.")

    @property
    def file(self) -> str:
        """The name of its picture."""
        return self.id + self.suffix


class VideoSource(BaseModel):
    """The video that the frames are from."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Its address without what is secret in it.")
    sha256: str | None = None
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None


class ZipRecord(BaseModel):
    """The ZIP that was made, and of what."""

    model_config = ConfigDict(frozen=True)

    content: str = Field(description="`FrameSet.content` of what is in it.")
    sha256: str
    size_bytes: int
    images: int


class FrameEdit(BaseModel):
    """What a person changes about one frame; what is left out stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kept: bool | None = None
    caption: Annotated[str | None, Field(max_length=MAX_CAPTION)] = None


class FrameSet(BaseModel):
    """All that is known of a dataset: `dataset.json`."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    job_id: str
    revision: int = Field(default=1, description="Grows with every change; a change names the one it was made on.")
    sealed: bool = Field(default=False, description="Approved, or made without a review: nothing changes any more.")
    settled: bool = Field(default=False, description="images/ and captions/ hold what is trained on, and no more.")
    created_at: datetime
    trigger_word: str
    default_caption: str = Field(description="Of frames that are taken back and have no caption.")
    source: VideoSource
    frames: tuple[FrameRecord, ...]
    zip: ZipRecord | None = None

    @property
    def kept(self) -> tuple[FrameRecord, ...]:
        """What is trained on."""
        return tuple(frame for frame in self.frames if frame.kept)

    @property
    def reasons(self) -> dict[DropReason, int]:
        """How many frames were dropped for which reason."""
        return dict(Counter(frame.reason for frame in self.frames if frame.reason is not None))

    @property
    def content(self) -> str:
        """Digest of the pictures and captions that are trained on: the same content makes the same ZIP."""
        lines = (f"{frame.file}\0{frame.sha256}\0{frame.caption}" for frame in self.kept)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def frame(self, id: str) -> FrameRecord | None:
        """The frame of this id."""
        return next((frame for frame in self.frames if frame.id == id), None)

    def is_approved_for(self, job_id: str) -> bool:
        """True where it is what this job trains on, and nothing else."""
        return self.sealed and self.job_id == job_id

    def is_of(self, other: Self) -> bool:
        """True where both are of the same pictures, whatever people have changed since."""
        return self.job_id == other.job_id and _pictures(self) == _pictures(other)

    def edited(self, edits: Mapping[str, FrameEdit], *, revision: int) -> Self:
        """The dataset after somebody changed it; the next revision, or this very one where nothing changes.

        Args:
            edits: by the ids of frames.
            revision: on which they were made.

        Raises:
            Conflict: it was changed meanwhile, or approved.
            InvalidInput: no such frame, one that cannot come back, a caption that is empty, or none would be left.
        """
        self._check(revision)
        if unknown := sorted(edits.keys() - {frame.id for frame in self.frames}):
            raise InvalidInput.field(f"frames.{unknown[0]}", "the dataset has no such frame")
        none = FrameEdit()
        frames = tuple(_edited(self, frame, edits.get(frame.id, none)) for frame in self.frames)
        if frames == self.frames:
            return self
        if not any(frame.kept for frame in frames):
            raise InvalidInput.field("frames", "no frame would be left to train on; cancel the job instead")
        return self.model_copy(update={"frames": frames, "revision": self.revision + 1})

    def approved(self, *, revision: int | None) -> Self:
        """The dataset as nobody can change it any more. Raises Conflict where `revision` is not the present one."""
        if revision not in (None, self.revision):
            raise Conflict(
                f"the dataset is of revision {self.revision} by now; look at it again", revision=self.revision
            )
        return self.model_copy(update={"sealed": True})

    def _check(self, revision: int) -> None:
        if self.sealed:
            raise Conflict("this dataset was approved; nothing in it changes any more")
        if revision != self.revision:
            raise Conflict(
                f"revision {revision} was changed meanwhile; read the dataset again, now of revision {self.revision}",
                revision=self.revision,
            )


def _pictures(frames: FrameSet) -> list[tuple[str, str]]:
    return [(frame.id, frame.sha256) for frame in frames.frames]


def _edited(frames: FrameSet, frame: FrameRecord, edit: FrameEdit) -> FrameRecord:
    changes: dict[str, Any] = {}
    if edit.caption is not None:
        if not edit.caption.strip():
            raise InvalidInput.field(f"frames.{frame.id}.caption", "is empty; leave it out to keep the present one")
        caption = caption_for(" ".join(edit.caption.split()), frames.trigger_word)
        if caption != frame.caption:
            changes |= {"caption": caption, "captioned_by": "user"}
    if edit.kept is not None and edit.kept != frame.kept:
        if edit.kept and frame.stored is None:
            raise InvalidInput.field(f"frames.{frame.id}.kept", f"its picture was not kept ({frame.reason})")
        reason = None if edit.kept else DropReason.USER
        changes |= {"kept": edit.kept, "reason": reason, "explanation": "", "duplicate_of": None}
        if edit.kept and not changes.get("caption", frame.caption):
            changes |= {"caption": frames.default_caption, "captioned_by": "template"}
    return frame.model_copy(update=changes)
