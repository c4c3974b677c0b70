"""What may go by itself: temporary files a day after they were written, and files whose writers died."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from thornback.artifacts.files import Location, join, locate
from thornback.artifacts.layout import temp_root
from thornback.artifacts.location import is_partial

KEEP = timedelta(hours=24)

# Where files are written whole; what was left half-written there has a name of its own.
_WRITTEN = ("loras", "models", "datasets", "uploads", "training-images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What has gone."""

    files: int = 0
    size_bytes: int = 0


def is_stale(modified_at: datetime | None, *, now: datetime, keep: timedelta = KEEP) -> bool:
    """True for what was last written longer ago than `keep`; what has no time stays."""
    return modified_at is not None and now - modified_at > keep


def sweep(storage: str, *, now: datetime, keep: timedelta = KEEP) -> Swept:
    """Delete what may go. Blocks; may run several times at once.

    Raises:
        OSError: some of it is still there.
    """
    temp = locate(temp_root(storage))
    if not temp.is_local:
        # Parts of broken uploads are no files on S3: the rules of `storage init` see to them.
        return _sweep_objects(temp, now, keep)
    files = size = 0
    half_written = (path for name in _WRITTEN for path in _below(join(storage, name)) if is_partial(path.name))
    for path in chain(_below(temp.path), half_written):
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            if is_stale(_time(status), now=now, keep=keep):
                path.unlink()
                files, size = files + 1, size + status.st_size
    _remove_empty(Path(temp.path), now, keep)
    return Swept(files=files, size_bytes=size)


def _sweep_objects(temp: Location, now: datetime, keep: timedelta) -> Swept:
    stale = [entry for entry in temp.files() if is_stale(entry.modified_at, now=now, keep=keep)]
    for entry in stale:
        (temp / entry.path).delete_file()
    return Swept(files=len(stale), size_bytes=sum(entry.size_bytes for entry in stale))


def _below(folder: str) -> Iterator[Path]:
    """All files below, links as what they are."""
    for root, _folders, names in os.walk(folder):
        yield from (Path(root) / name for name in names)


def _remove_empty(folder: Path, now: datetime, keep: timedelta) -> None:
    """Remove empty folders below; a fresh one may be about to be filled."""
    for root, names, _files in os.walk(folder, topdown=False):
        for name in names:
            path = Path(root) / name
            with contextlib.suppress(OSError):  # not empty, or gone
                if not path.is_symlink() and is_stale(_time(path.lstat()), now=now, keep=keep):
                    path.rmdir()


def _time(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)
