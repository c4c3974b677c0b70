"""One clip of a dataset: a file or a part of it, with its label and what is known about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".mp3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """`path` is relative to the dataset's root, or absolute."""

    path: str
    label: str
    snr_db: float | None = None
    approved: bool | None = None
    split: str | None = None  # train, val or test, where the manifest says so
    start: float = 0.0  # seconds into the file
    duration: float | None = None  # seconds; None: to the end of the file
    version: str | None = None  # what its storage called the file's content when it was looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All clips of a dataset as its folder or manifest lists them."""

    root: str  # address that relative paths start from
    layout: str  # folder or manifest
    clips: tuple[Clip, ...]
    # classes that must not end up empty, with a word on where each comes from
    classes: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)
