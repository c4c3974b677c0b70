"""How much lies where below the storage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from thornback.artifacts.files import locate
from thornback.artifacts.location import FileEntry

AREAS = ("loras", "models", "datasets", "uploads", "training-images", "temp", "caches")
RUNS = "runs"  # all the rest: each job's own folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A part of the storage."""

    name: str
    files: int = 0
    size_bytes: int = 0


def measure(storage: str) -> list[Area]:
    """Files and bytes of each part, in the order of AREAS, RUNS last. Lists all that there is. Blocks.

    Raises:
        OSError: the storage is away.
    """
    return add_up(locate(storage).files())


def add_up(entries: Iterable[FileEntry]) -> list[Area]:
    """The same of a list of files."""
    files, sizes = dict.fromkeys((*AREAS, RUNS), 0), dict.fromkeys((*AREAS, RUNS), 0)
    for entry in entries:
        top, below, _ = entry.path.partition("/")
        name = top if below and top in AREAS else RUNS
        files[name] += 1
        sizes[name] += entry.size_bytes
    return [Area(name=name, files=files[name], size_bytes=sizes[name]) for name in files]
