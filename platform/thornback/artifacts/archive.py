"""Taking one file out of an archive that a stranger made."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from thornback.artifacts.files import CHUNK_BYTES
from thornback.errors import FetchFailed

MAX_MEMBERS = 10_000  # a trained model has some dozens; so many headers are read within a second
MAX_BYTES = 20 << 30

# What tarfile and the packers beneath it raise for broken bytes; its own errors cover only a part of it.
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, OverflowError, RecursionError)


def take_member(archive: Path, pattern: str, to: Path, *, max_bytes: int = MAX_BYTES) -> str:
    """Write the first regular file whose path matches into `to`; nothing else is unpacked.

    Args:
        archive: a tar, compressed or not.
        pattern: as in a shell, `**/lora.safetensors`; `**/` also stands for no folder at all.
        to: a local file; it is there whole or not at all.
        max_bytes: the greatest size of the member, and of all that lies before it.

    Returns:
        Its path inside the archive.

    Raises:
        FetchFailed: no tar, broken, too large, or without such a file.
    """
    partial = to.with_name(f".{to.name}.partial")
    try:
        with tarfile.open(archive, "r:*") as tar:
            member = _find(tar, pattern, max_bytes)
            source = tar.extractfile(member)
            if source is None:
                raise FetchFailed(f"{member.name} in the archive is no file")
            with source, partial.open("wb") as target:
                _copy(source, target, member.size)
        partial.replace(to)
    except _BROKEN as error:
        raise FetchFailed(f"the archive cannot be read: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return member.name


def _find(tar: tarfile.TarFile, pattern: str, max_bytes: int) -> tarfile.TarInfo:
    before = 0
    for count, member in enumerate(tar):
        # To reach the next member of a compressed tar all of this one is unpacked.
        before += member.size
        if count >= MAX_MEMBERS or before > max_bytes:
            raise FetchFailed(f"the archive has more than {MAX_MEMBERS} members or {max_bytes} bytes")
        if member.isreg() and not member.issparse() and _is_inside(member.name) and _matches(member.name, pattern):
            return member
    raise FetchFailed(f"the archive holds no {pattern}")


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _matches(name: str, pattern: str) -> bool:
    name = name.removeprefix("./")
    return fnmatchcase(name, pattern) or (pattern.startswith("**/") and fnmatchcase(name, pattern[3:]))


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while chunk := source.read(min(CHUNK_BYTES, size)):
        target.write(chunk)
        size -= len(chunk)
    if size:
        raise FetchFailed(f"the archive ends {size} bytes too early")
