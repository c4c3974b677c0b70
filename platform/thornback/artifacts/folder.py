"""A storage that is a folder of this machine, or one that all machines mount."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thornback.artifacts.location import CHUNK_BYTES, FileEntry, Location, is_partial, partial_name
from thornback.errors import InvalidInput, NotFound

_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@dataclass(frozen=True, slots=True)
class FolderLocation(Location):
    """A place in this machine's file system; a file is written under another name and shown by a rename."""

    @property
    def is_local(self) -> bool:
        """Always."""
        return True

    @property
    def fs(self) -> Any:
        """A LocalFileSystem of pyarrow."""
        from pyarrow.fs import LocalFileSystem  # 0.1 s that few callers need

        return LocalFileSystem()

    def is_beside(self, other: Location) -> bool:
        """True for every other local place."""
        return isinstance(other, FolderLocation)

    def exists(self) -> bool:
        """True for a file or a folder."""
        return self._file.exists()

    def is_dir(self) -> bool:
        """True for a folder, an empty one too."""
        return self._file.is_dir()

    def size(self) -> int:
        """Bytes of the file."""
        if not self._file.is_file():
            raise NotFound(f"there is no file {self.path}")
        return self._file.stat().st_size

    def read_range(self, first: int, length: int, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """A part of the file."""
        with self._found(), self._file.open("rb") as file:
            file.seek(first)
            while length > 0 and (chunk := file.read(min(size, length))):
                length -= len(chunk)
                yield chunk

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The file in pieces."""
        with self._found(), self._file.open("rb") as file:
            while chunk := file.read(size):
                yield chunk

    def write_bytes(self, content: bytes, *, content_type: str | None = None) -> None:
        """Write a file; a folder keeps no content types."""
        with self._arriving() as partial:
            partial.write_bytes(content)

    def upload(self, source: Path, *, content_type: str | None = None) -> None:
        """Copy a local file here; a folder keeps no content types."""
        with self._arriving() as partial:
            shutil.copyfile(source, partial)

    def download(self, to: Path) -> None:
        """Copy the file to another local one."""
        self.copy_to(FolderLocation(str(to)))

    def copy_to(self, other: Location) -> None:
        """Copy the file into another folder or up to S3."""
        if not self._file.is_file():
            raise NotFound(f"there is no file {self.path}")
        other.upload(self._file)

    def files(self) -> list[FileEntry]:
        """All files below, through links to folders as well; those that are still being written are left out."""
        return sorted(_walk(self.path, "", frozenset()), key=lambda entry: entry.path)

    def folders(self) -> list[str]:
        """Names of the folders directly below."""
        try:
            return sorted(entry.name for entry in self._file.iterdir() if entry.is_dir())
        except _MISSING:
            return []

    def delete_file(self) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._file.unlink()

    def delete_tree(self) -> None:
        """Remove the folder; of a link to one, the link."""
        if self._file == Path(self._file.anchor):
            raise InvalidInput.field("path", f"{self.path} is the whole file system; name a folder in it")
        if self._file.is_symlink() or self._file.is_file():
            self.delete_file()
            return
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._file)

    @property
    def _file(self) -> Path:
        return Path(self.path)

    @contextlib.contextmanager
    def _found(self) -> Iterator[None]:
        try:
            yield
        except _MISSING:
            raise NotFound(f"there is no file {self.path}") from None

    @contextlib.contextmanager
    def _arriving(self) -> Iterator[Path]:
        """Where to write the file; it shows under its own name when the block ends well."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_name(partial_name(self._file.name))
        try:
            yield partial
            partial.replace(self._file)
        finally:
            partial.unlink(missing_ok=True)


def _walk(folder: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[FileEntry]:
    """Files below a folder; a link that leads back to a folder above it is not followed."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - os.scandir's own kind
        here = status.st_dev, status.st_ino
        if here in above:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", above | {here})
                elif entry.is_file() and not is_partial(entry.name):
                    yield from _described(entry, prefix)
    except OSError as error:  # gone meanwhile, or never there
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise


def _described(entry: os.DirEntry[str], prefix: str) -> Iterator[FileEntry]:
    with contextlib.suppress(FileNotFoundError):
        status = entry.stat()
        at = datetime.fromtimestamp(status.st_mtime, UTC)
        yield FileEntry(path=prefix + entry.name, size_bytes=status.st_size, modified_at=at)
