"""Uploads that are not whole yet: their bytes and what is known of them, in a folder that processes share.

Every replica of the API on one machine works on the same folder; the file lock keeps two of them from writing into
one upload. Replicas on several machines need a folder that all of them see, on a file system whose locks hold
between machines (NFS 4, EFS, Lustre): the setting `uploads`.

What is said to have arrived is on the disk: bytes are synced before the count that names them is replaced, so a
killed process or a lost machine costs the bytes after the last count and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from uuid_utils import uuid7

from thornback.errors import Conflict, NotFound, StorageFull, UploadGone, UploadLocked

MAX_OPEN = 100  # of one user
KEEP_BYTES = 8 << 20  # are lost at most where a process is killed
_FREE_BYTES = 1 << 30  # that stay free on the disk
_NEW = ".new-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is known of one upload."""

    id: str
    user: str
    length: int  # bytes
    metadata: Mapping[str, str]
    created_at: datetime
    offset: int = 0  # bytes that are here
    touched_at: datetime
    result: Mapping[str, Any] | None = None  # what it is, once it is whole and was checked
    problem: str | None = None  # why it is refused

    @property
    def is_over(self) -> bool:
        """Checked, whether taken or refused."""
        return self.result is not None or self.problem is not None


class Staging:
    """A folder with one folder per upload."""

    def __init__(self, folder: Path, *, keep: timedelta, keep_whole: timedelta | None = None) -> None:
        """Args: where; for how long an upload is kept after its last byte; and one that was taken, as long as that."""
        self._folder = folder
        self._keep = keep
        self._keep_whole = keep if keep_whole is None else keep_whole

    def create(self, *, user: str, length: int, metadata: Mapping[str, str], now: datetime) -> Upload:
        """Make room for an upload; those that are too old make way.

        Raises:
            Conflict: the user has too many unfinished ones.
            StorageFull: the disk has not that much room.
        """
        self.sweep(now)
        if sum(upload.user == user and not upload.is_over for upload in self._all()) >= MAX_OPEN:
            raise Conflict(f"there are {MAX_OPEN} unfinished uploads; finish or delete some")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self._folder).free
        if free - length < _FREE_BYTES:
            raise StorageFull(f"{length} bytes do not fit: {max(0, free - _FREE_BYTES)} are free for uploads")
        upload = Upload(
            id=str(uuid7()), user=user, length=length, metadata=dict(metadata), created_at=now, touched_at=now
        )
        place = self._folder / f"{_NEW}{upload.id}"
        place.mkdir(mode=0o700)
        (place / "data").touch()
        facts = {name: value for name, value in asdict(upload).items() if name in ("id", "user", "length", "metadata")}
        _replace(place / "upload.json", json.dumps(facts | {"created_at": now.isoformat()}))
        place.rename(self._folder / upload.id)
        return upload

    def read(self, id: str, *, user: str, now: datetime) -> Upload:
        """One upload of this user.

        Raises:
            NotFound: there is none.
            UploadGone: it was left unfinished, or not used, for too long.
        """
        upload = self._read(id)
        if upload is None or upload.user != user:
            raise NotFound(f"there is no upload {id}", id=id)
        if self.expires_at(upload) <= now:
            raise UploadGone(f"upload {id} was kept until its time was over; send the file again", id=id)
        return upload

    def expires_at(self, upload: Upload) -> datetime:
        """When it is removed: an unfinished one unless more of it arrives, a whole one unless a job needs it."""
        return upload.touched_at + (self._keep if upload.result is None else self._keep_whole)

    @contextmanager
    def lock(self, id: str) -> Iterator[None]:
        """Keep every other process and request out of an upload.

        Raises:
            NotFound: there is none.
            UploadLocked: somebody else is in it.
        """
        try:
            file = (self._folder / id / "data").open("r+b")
        except FileNotFoundError:
            raise NotFound(f"there is no upload {id}", id=id) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UploadLocked(f"another request writes into upload {id}; try again soon", id=id) from None
            yield

    @contextmanager
    def part(self, upload: Upload) -> Iterator[Part]:
        """The open end of an upload; hold its lock."""
        with (self._folder / upload.id / "data").open("r+b") as file:
            yield Part(self._folder / upload.id, file, upload.offset)

    def path(self, upload: Upload) -> Path:
        """The bytes that are here."""
        return self._folder / upload.id / "data"

    def end(self, upload: Upload, *, result: Mapping[str, Any] | None = None, problem: str | None = None) -> Upload:
        """Take down what became of it, and let its bytes go; hold its lock."""
        _replace(self._folder / upload.id / "end.json", json.dumps({"result": result, "problem": problem}))
        os.truncate(self.path(upload), 0)
        return replace(upload, result=result, problem=problem)

    def delete(self, upload: Upload) -> None:
        """Remove it; hold its lock."""
        shutil.rmtree(self._folder / upload.id, ignore_errors=True)

    def sweep(self, now: datetime) -> list[str]:
        """Remove what was left unfinished for too long, and what is known of finished ones; returns their ids."""
        removed = []
        for upload in list(self._all()):
            if self.expires_at(upload) > now:
                continue
            try:
                with self.lock(upload.id):
                    self.delete(upload)
            except (UploadLocked, NotFound):
                continue  # somebody writes on, or removed it meanwhile
            removed.append(upload.id)
        for place in self._folder.glob(f"{_NEW}*"):  # a process was killed while it made them
            if datetime.fromtimestamp(place.stat().st_mtime, UTC) + self._keep <= now:
                shutil.rmtree(place, ignore_errors=True)
        return removed

    def _all(self) -> Iterator[Upload]:
        if not self._folder.is_dir():
            return
        for place in sorted(self._folder.iterdir()):
            upload = self._read(place.name)
            if upload is not None:
                yield upload

    def _read(self, id: str) -> Upload | None:
        place = self._folder / id
        try:
            facts = json.loads((place / "upload.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        created = datetime.fromisoformat(facts.pop("created_at"))
        offset, touched = _offset(place)
        end = json.loads(_text(place / "end.json") or "{}")
        return Upload(**facts, created_at=created, offset=offset, touched_at=touched or created, **end)


class Part:
    """Bytes that are added to an upload; they count from `keep` on."""

    def __init__(self, place: Path, file: BinaryIO, offset: int) -> None:
        self._place = place
        self._file = file
        self._kept = offset
        self.offset = offset
        file.truncate(offset)  # what came after the last count is not known to be right
        file.seek(offset)

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        self._file.write(chunk)
        self.offset += len(chunk)

    @property
    def unkept(self) -> int:
        """Bytes that were added and do not count yet."""
        return self.offset - self._kept

    def keep(self) -> int:
        """Let all that was added count; returns the new offset."""
        self._file.flush()
        os.fsync(self._file.fileno())
        _replace(self._place / "offset", str(self.offset))
        self._kept = self.offset
        return self.offset


def _offset(place: Path) -> tuple[int, datetime | None]:
    path = place / "offset"
    text = _text(path)
    if text is None:
        return 0, None
    return int(text), datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    """Write a file that readers see whole, the old one or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
