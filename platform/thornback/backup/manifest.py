"""What a backup holds. It is written last: without it there is no backup."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from thornback.artifacts.files import Location, without_secrets
from thornback.errors import ChecksumMismatch, InvalidInput, NotFound

MANIFEST = "manifest.json"
DATABASE = "database"  # the folder of what `take_snapshot` wrote
FILES = "files"  # the folder of the storage's files

# Of the storage: what can be made anew, or is gone in a day.
LEFT_OUT = ("temp/", "caches/")


class BackedFile(BaseModel):
    """One file; `path` is relative to the folder it is in."""

    model_config = ConfigDict(frozen=True)

    path: str
    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """All of it."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    made_at: datetime
    dialect: str
    revision: str
    storage: str  # its address, with what is needed to reach it: rows name files by it
    rows: dict[str, int]
    database: tuple[BackedFile, ...]
    files: tuple[BackedFile, ...]
    absent: tuple[str, ...] = ()  # files that rows speak of, and that the storage did not have any more

    @property
    def size_bytes(self) -> int:
        """Of everything."""
        return sum(file.size_bytes for file in (*self.database, *self.files))


def below(storage: str, uri: str) -> str | None:
    """The path of a file below the storage; None for what lies elsewhere or is not backed up.

    Args:
        storage: its address.
        uri: an address as rows have it, or such a path already.
    """
    bare = uri.partition("?")[0] if "://" in uri else uri
    for root in (storage, without_secrets(storage)):
        base = (root.partition("?")[0] if "://" in root else root).rstrip("/") + "/"
        if bare.startswith(base):
            bare = bare.removeprefix(base)
            break
    is_below = "://" not in bare and not bare.startswith("/")
    return bare.rstrip("/") if is_below and not bare.startswith(LEFT_OUT) else None


def read_manifest(backup: Location) -> Manifest:
    """Raises InvalidInput where there is no backup that this release can read."""
    try:
        return Manifest.model_validate_json((backup / MANIFEST).read_bytes())
    except NotFound:
        raise InvalidInput.field("from", "is no backup, or one that was never finished: it has no manifest") from None
    except ValidationError as error:
        problem = f"its manifest cannot be read: {error.errors()[0]['msg']}"
        raise InvalidInput.field("from", problem) from None


def verify(backup: Location, manifest: Manifest) -> None:
    """Read every byte. Raises ChecksumMismatch, naming the first file that is not what it was."""
    for folder, files in ((DATABASE, manifest.database), (FILES, manifest.files)):
        for file in files:
            fetch(backup / folder / file.path, file)


def fetch(source: Location, file: BackedFile, to: Path | None = None) -> None:
    """Read a file of a backup, and keep it where a place is named. Raises ChecksumMismatch."""
    digest, size = hashlib.sha256(), 0
    try:
        for piece in _written(source, to):
            digest.update(piece)
            size += len(piece)
    except NotFound:
        raise ChecksumMismatch(f"the backup lacks {file.path}", path=file.path) from None
    if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
        raise ChecksumMismatch(f"{file.path} of the backup is damaged", path=file.path)


def keep(source: Location, path: str, passing: Path, to: Location) -> BackedFile:
    """Copy a file by way of a local one, and say what was copied. Raises NotFound where it has gone."""
    digest, size = hashlib.sha256(), 0
    for piece in _written(source, passing):
        digest.update(piece)
        size += len(piece)
    to.upload(passing)
    return BackedFile(path=path, size_bytes=size, sha256=digest.hexdigest())


def _written(source: Location, to: Path | None) -> Iterator[bytes]:
    if to is None:
        yield from source.chunks()
        return
    with to.open("wb") as file:
        for piece in source.chunks():
            file.write(piece)
            yield piece
