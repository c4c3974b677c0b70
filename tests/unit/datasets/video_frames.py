"""Frames as a pipeline hands them over, some dropped, and where they are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.unit.datasets.pictures_made import picture
from thornback.datasets.frame_new import NewFrame, Origin
from thornback.datasets.frame_set import DropReason, VideoSource

SIZE = (48, 32)
JOB = "11111111-2222-3333-4444-555555555555"
ORIGIN = Origin(
    job_id=JOB,
    trigger_word="ohwx",
    default_caption="a photo of ohwx",
    source=VideoSource(name="https://example.com/fox.mp4", duration_s=12.0),
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
)


def new_frames(folder: Path) -> list[NewFrame]:
    """Four: two kept, one that looks like another, one that is no picture."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for number in range(4):
        path = folder / f"{number:04d}.jpg"
        path.write_bytes(picture("JPEG", SIZE, quality=80 + number) if number < 3 else b"no picture")
        frames.append(_frame(path, number))
    return frames


def _frame(path: Path, number: int) -> NewFrame:
    facts: dict[str, Any] = {"path": path, "time_s": number * 1.5, "scene": number, "width": SIZE[0], "height": SIZE[1]}
    if number == 2:
        return NewFrame(
            **facts,
            kept=False,
            reason=DropReason.DUPLICATE,
            explanation="looks like 0000.jpg",
            duplicate_of="0000",
            scores={"sharpness": 3.5},
        )
    if number == 3:
        return NewFrame(**facts, kept=False, reason=DropReason.UNREADABLE)
    return NewFrame(**facts, caption=f"ohwx, number {number}", captioned_by="template", scores={"sharpness": 9.5})
