"""The files of a checkpoint: state.json is written last and names the size of each other file.

Where it is there and the sizes agree, the checkpoint is whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from thornback.artifacts.files import Location
from thornback.errors import DataError

STATE = "state.json"


def seal(folder: Path, state: dict[str, Any]) -> None:
    """Write state.json beside the files that are in the folder."""
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    (folder / STATE).write_text(json.dumps({"files": sizes, "state": state}))


def is_whole(place: Location) -> bool:
    """True where every file is there with its size."""
    if not (place / STATE).exists():
        return False
    sizes = {entry.path: entry.size_bytes for entry in place.files()}
    try:
        wanted = json.loads((place / STATE).read_bytes())["files"]
    except (ValueError, KeyError):  # cut off while it was written
        return False
    return all(sizes.get(name) == size for name, size in wanted.items())


def fetch(place: Location, folder: Path) -> dict[str, Any]:
    """Copy a checkpoint's files into a local folder; returns its state.

    Raises:
        DataError: it is not there, or not whole.
    """
    if not is_whole(place):
        raise DataError.field("resume_from", f"there is no whole checkpoint at {place.path}")
    described = json.loads((place / STATE).read_bytes())
    for name in described["files"]:
        (folder / name).write_bytes((place / name).read_bytes())
    state: dict[str, Any] = described["state"]
    return state


def upload(folder: Path, place: Location) -> int:
    """Copy a written checkpoint to its place, state.json last; returns its size in bytes."""
    files = sorted(folder.iterdir(), key=lambda file: file.name == STATE)
    for file in files:
        (place / file.name).upload(file)
    return sum(file.stat().st_size for file in files)
