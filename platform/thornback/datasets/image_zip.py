"""ZIPs of pictures with same-name .txt captions: checked before somebody pays for them, and made."""

from __future__ import annotations

import hashlib
import lzma
import posixpath
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath

from thornback.artifacts.files import CHUNK_BYTES
from thornback.datasets import pictures
from thornback.errors import DataError

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
CAPTION = ".txt"
MAX_BYTES = 2 << 30  # of a ZIP, and of all that it holds
MAX_MEMBERS = 20_000
MAX_DIRECTORY_BYTES = 4 << 20  # 200 for each of so many members
MAX_CAPTION_BYTES = 100_000

# What zipfile and the packers beneath it raise for broken bytes.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)

_PIECE = 1 << 16
_SHOWN = 3  # broken members that a message names
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same pictures make the same bytes
_UNIX = 3
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipReport:
    """What a ZIP of pictures holds."""

    images: int
    captions: int  # of these images
    size_bytes: int
    sha256: str  # hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file to be put into a ZIP."""

    name: str
    content: bytes


class _Source(FileIO):
    """A file of which no piece is read at once that is larger than a table of contents may be."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_open = False  # the table has been read

    def read(self, size: int | None = -1, /) -> bytes:
        """As FileIO. Raises BadZipFile."""
        if not self.is_open and size is not None and size > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its table of contents has more than {MAX_DIRECTORY_BYTES} bytes")
        return super().read(size) or b""


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A ZIP whose table of contents is small: zipfile reads it whole, and makes an object of each line of it.

    Raises what stands in BROKEN.
    """
    with _Source(path) as source, zipfile.ZipFile(source) as archive:
        source.is_open = True
        yield archive


def check_zip(path: Path, *, max_bytes: int = MAX_BYTES) -> ZipReport:
    """Read every picture and caption of a ZIP.

    Raises:
        DataError: no ZIP, too large, a member that tries to lie outside or claims what it is not, a broken
            picture, a caption that is not UTF-8, or no picture at all.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise DataError(f"the ZIP has {size} bytes; at most {max_bytes} are taken")
    try:
        with open_zip(path) as archive:
            members = _members(archive, size, max_bytes)
            images, captions = _check_members(archive, members)
    except BROKEN as error:
        raise DataError(f"the ZIP cannot be read: {error}") from error
    return ZipReport(images=images, captions=captions, size_bytes=size, sha256=digest(path))


def check_names(path: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Look at a ZIP's table of contents alone.

    Raises:
        DataError: no ZIP, too large unpacked, or a member that tries to lie outside or claims what it is not.
    """
    try:
        with open_zip(path) as archive:
            _members(archive, path.stat().st_size, max_bytes)
    except BROKEN as error:
        raise DataError(f"the ZIP cannot be read: {error}") from error


def unpack(archive: zipfile.ZipFile, name: str, *, most: int) -> bytes:
    """A member, of more than `most` bytes only the beginning. Raises what stands in BROKEN, and KeyError.

    In small pieces: of a large one zipfile unpacks as much as is asked for, whatever size its table claims.
    """
    content = bytearray()
    with archive.open(name) as member:
        while len(content) <= most and (piece := member.read(_PIECE)):
            content += piece
    return bytes(content)


def write_zip(path: Path, entries: Iterable[Entry]) -> None:
    """Put files into a new ZIP, uncompressed, for pictures are so already; the same files make the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, date_time=_EPOCH)
            info.create_system = _UNIX
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, entry.content)


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()


def is_picture(name: str) -> bool:
    """True for the name of a picture that is not hidden; macOS puts a hidden twin beside each file."""
    path = PurePosixPath(name)
    return path.suffix.lower() in PICTURES and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """True for files that a file manager or we ourselves left behind."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def caption_name(name: str) -> str:
    """The caption that belongs to a picture."""
    return posixpath.splitext(name)[0] + CAPTION


def read_caption(name: str, content: bytes) -> str:
    """A caption as text. Raises DataError."""
    if len(content) > MAX_CAPTION_BYTES:
        raise DataError(f"the caption {name} has more than {MAX_CAPTION_BYTES} bytes")
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise DataError(f"the caption {name} is not UTF-8") from None


def _members(archive: zipfile.ZipFile, size: int, max_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The files of a ZIP by name. Raises DataError."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise DataError(f"the ZIP has {len(infos)} members; at most {MAX_MEMBERS} are taken")
    if sum(info.file_size for info in infos) > max_bytes:
        raise DataError(f"unpacked, the ZIP has more than {max_bytes} bytes")
    if sum(info.compress_size for info in infos) > size:
        raise DataError("members of the ZIP overlap")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        _check_member(info)
        if info.filename in members:
            raise DataError(f"the ZIP has two members {info.filename!r}")
        if not info.is_dir():
            members[info.filename] = info
    return members


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # zipfile has cut the other one at a NUL
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(char in name for char in "\\:\0"):
        raise DataError(f"the ZIP has a member that would lie outside of it: {name!r}")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.create_system == _UNIX and kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"the ZIP has a member that is neither a file nor a folder: {name!r}")
    if info.flag_bits & _ENCRYPTED:
        raise DataError("the ZIP is encrypted")


def _check_members(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> tuple[int, int]:
    images = [name for name in members if is_picture(name)]
    if not images:
        raise DataError("the ZIP holds no picture")
    problems = list(_problems(archive, members, images))
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        raise DataError(f"{len(problems)} of {len(images)} pictures: {'; '.join(problems[:_SHOWN])}{more}")
    captions = {caption_name(name) for name in images} & members.keys()
    for name in captions:
        if members[name].file_size > MAX_CAPTION_BYTES:
            raise DataError(f"the caption {name} has more than {MAX_CAPTION_BYTES} bytes")
        read_caption(name, unpack(archive, name, most=MAX_CAPTION_BYTES))
    return len(images), sum(caption_name(name) in captions for name in images)


def _problems(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], images: Iterable[str]) -> Iterator[str]:
    for name in images:
        if members[name].file_size > pictures.MAX_FILE_BYTES:
            yield f"{name}: more than {pictures.MAX_FILE_BYTES} bytes"
            continue
        try:
            pictures.check(unpack(archive, name, most=pictures.MAX_FILE_BYTES))
        except DataError as error:
            yield f"{name}: {error}"
