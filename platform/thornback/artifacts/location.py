"""The port: a place in a storage, whatever the storage is."""

from __future__ import annotations

import posixpath
import re
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

CHUNK_BYTES = 1 << 20

_PARTIAL = re.compile(r"\..*\.[0-9a-f]{12}\.partial", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file below a folder; `path` is relative to it."""

    path: str
    size_bytes: int
    modified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Location(ABC):
    """A file, a folder, or a place where there is neither yet. Cheap to make, and it can be pickled.

    Whoever reads a file sees it whole: what is written shows when its last byte is there, and a write that breaks
    leaves what was there before. All methods block.

    What is missing raises NotFound. A storage that is away, full or refuses raises OSError; what S3 says comes as
    `StorageUnavailable`, which is one.
    """

    path: str  # a local path, or bucket/key

    def __truediv__(self, name: str) -> Self:
        return self.at(posixpath.join(self.path, name))

    def at(self, path: str) -> Self:
        """Another place of the same storage, by its whole path."""
        return replace(self, path=path)

    @property
    @abstractmethod
    def is_local(self) -> bool:
        """True where `path` is one of this machine's own file system."""

    @property
    @abstractmethod
    def fs(self) -> Any:
        """The storage as a `pyarrow.fs.FileSystem`, in which `path` names the same place."""

    @abstractmethod
    def is_beside(self, other: Location) -> bool:
        """True where the other place is in the same storage, reached with the same credentials."""

    @abstractmethod
    def exists(self) -> bool:
        """True for a file or a folder."""

    @abstractmethod
    def is_dir(self) -> bool:
        """True for a folder (on S3: a prefix with something below it)."""

    @abstractmethod
    def size(self) -> int:
        """Bytes of the file. Raises NotFound."""

    def version(self) -> str | None:
        """What the storage calls this content of the file, another for another one; None where it does not say.

        Raises NotFound.
        """
        return None

    @abstractmethod
    def read_range(self, first: int, length: int, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """`length` bytes from byte `first` on, fewer where the file ends, in pieces of at most `size`.

        Raises NotFound at the first.
        """

    @abstractmethod
    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The file in pieces. Raises NotFound at the first."""

    def read_bytes(self) -> bytes:
        """The whole file. Raises NotFound."""
        return b"".join(self.chunks())

    @abstractmethod
    def write_bytes(self, content: bytes, *, content_type: str | None = None) -> None:
        """Write a file.

        Args:
            content: of the file.
            content_type: what S3 is told; left out: what the name says.
        """

    @abstractmethod
    def upload(self, source: Path, *, content_type: str | None = None) -> None:
        """Copy a local file here. Arguments as for `write_bytes`."""

    @abstractmethod
    def download(self, to: Path) -> None:
        """Copy the file to a local one; its folder is made. Raises NotFound."""

    def copy_to(self, other: Location) -> None:
        """Copy the file to another place, in the storage itself where both lie in one. Raises NotFound."""
        with tempfile.TemporaryDirectory(prefix="thornback-copy-") as folder:
            passing = Path(folder) / "file"
            self.download(passing)
            other.upload(passing)

    @abstractmethod
    def files(self) -> list[FileEntry]:
        """All files below this folder, sorted by path; none where it does not exist."""

    @abstractmethod
    def folders(self) -> list[str]:
        """Names of the folders directly below this one, empty ones too where the storage has such."""

    @abstractmethod
    def delete_file(self) -> None:
        """Remove the file; a missing one is no error."""

    @abstractmethod
    def delete_tree(self) -> None:
        """Remove the folder and everything below it; a missing one is no error."""


def partial_name(name: str) -> str:
    """A name of its own for each writer: two of the same file must not write into one another's."""
    return f".{name[:200]}.{uuid.uuid4().hex[:12]}.partial"


def is_partial(name: str) -> bool:
    """True for a name that `partial_name` made: no file to show."""
    return _PARTIAL.fullmatch(name) is not None
