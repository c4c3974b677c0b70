"""One way to read and write files in a local folder or on s3://, through pyarrow's file systems.

Addresses are local paths or `s3://bucket/key`; an S3-compatible server is named as pyarrow names it,
`s3://bucket/key?endpoint_override=http%3A%2F%2Fhost%3Aport`.
"""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.fs as pafs

from thornback.errors import InvalidInput, NotFound

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file below a folder; `path` is relative to it."""

    path: str
    size_bytes: int
    modified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file system."""

    fs: pafs.FileSystem
    path: str

    def __truediv__(self, name: str) -> Location:
        return Location(self.fs, posixpath.join(self.path, name))

    @property
    def is_local(self) -> bool:
        """True where `path` is one of this machine's own file system."""
        return isinstance(self.fs, pafs.LocalFileSystem)

    def exists(self) -> bool:
        """True for a file or a folder."""
        return bool(self.fs.get_file_info(self.path).type != pafs.FileType.NotFound)

    def is_dir(self) -> bool:
        """True for a folder (on S3: a prefix with something below it)."""
        return bool(self.fs.get_file_info(self.path).type == pafs.FileType.Directory)

    def read_bytes(self) -> bytes:
        """The whole file. Raises NotFound."""
        try:
            with self.fs.open_input_stream(self.path) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            raise NotFound(f"there is no file {self.path}") from None

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The file in pieces. Raises NotFound at the first."""
        try:
            stream = self.fs.open_input_stream(self.path)
        except FileNotFoundError:
            raise NotFound(f"there is no file {self.path}") from None
        with stream:
            while chunk := stream.read(size):
                yield bytes(chunk)

    def write_bytes(self, content: bytes) -> None:
        """Write a file; a reader sees the old one or the whole new one, never a part."""
        parent, name = posixpath.split(self.path)
        if not isinstance(self.fs, pafs.LocalFileSystem):
            with self.fs.open_output_stream(self.path) as stream:  # an S3 object appears when it is whole
                stream.write(content)
            return
        self.fs.create_dir(parent, recursive=True)
        partial = posixpath.join(parent, _partial(name))
        with self.fs.open_output_stream(partial) as stream:
            stream.write(content)
        self.fs.move(partial, self.path)

    def upload(self, source: Path) -> None:
        """Copy a local file here, whole or not at all."""
        parent, name = posixpath.split(self.path)
        local = not isinstance(self.fs, pafs.S3FileSystem)
        target = posixpath.join(parent, _partial(name)) if local else self.path
        if local:
            self.fs.create_dir(parent, recursive=True)
        pafs.copy_files(str(source), target, source_filesystem=pafs.LocalFileSystem(), destination_filesystem=self.fs)
        if local:
            self.fs.move(target, self.path)

    def files(self) -> list[FileEntry]:
        """All files below this folder, sorted by path; none where it does not exist."""
        selector = pafs.FileSelector(self.path, allow_not_found=True, recursive=True)
        entries = [
            FileEntry(path=posixpath.relpath(info.path, self.path), size_bytes=info.size or 0, modified_at=info.mtime)
            for info in self.fs.get_file_info(selector)
            if info.type == pafs.FileType.File
        ]
        return sorted(entries, key=lambda entry: entry.path)

    def folders(self) -> list[str]:
        """Names of the folders directly below this one, empty ones too where the file system has such."""
        found = self.fs.get_file_info(pafs.FileSelector(self.path, allow_not_found=True))
        return sorted(info.base_name for info in found if info.type == pafs.FileType.Directory)

    def size(self) -> int:
        """Bytes of the file. Raises NotFound."""
        info = self.fs.get_file_info(self.path)
        if info.type != pafs.FileType.File:
            raise NotFound(f"there is no file {self.path}")
        return int(info.size)

    def delete_file(self) -> None:
        """Remove the file; a missing one is no error."""
        if self.exists():
            self.fs.delete_file(self.path)

    def delete_tree(self) -> None:
        """Remove the folder and everything below it; a missing one is no error."""
        if self.exists():
            self.fs.delete_dir(self.path)


def _partial(name: str) -> str:
    """A name of its own for each writer: two of the same file must not write into one another's."""
    return f".{name[:200]}.{uuid.uuid4().hex[:12]}.partial"


def join(uri: str, *names: str) -> str:
    """The address of something below `uri`; the query of an s3:// address stays at its end."""
    base, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return posixpath.join(base.rstrip("/") or "/", *names) + mark + query


def parent(uri: str) -> str:
    """The address of the folder that `uri` lies in."""
    base, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return posixpath.dirname(base.rstrip("/")) + mark + query


def locate(uri: str) -> Location:
    """Resolve an address.

    Raises:
        InvalidInput: a scheme that no file system serves.
    """
    if "://" not in uri:
        return Location(pafs.LocalFileSystem(), str(Path(uri).expanduser().absolute()))
    try:
        fs, path = pafs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise InvalidInput.field("uri", f"{uri!r} cannot be opened: {error}") from None
    return Location(fs, path)
