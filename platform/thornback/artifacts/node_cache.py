"""Copies of files from far away on the disk of one machine, for all processes that work there.

An entry holds the bytes and their SHA-256, so that what a disk damaged, or a full one cut off, is fetched again. It
appears by a rename: a process that is killed leaves a partial file, which nobody holds any more and the next sweep
takes away. The folder never gives wrong bytes and never stops its caller: where it cannot be used, the caller gets
what it asked for from far away.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Self

from thornback.artifacts.held import delete_unheld, is_still
from thornback.log import get_logger
from thornback.settings import Settings

SWEPT_SHARE = 0.9
"""So full is the folder after a sweep: one that left it full would be followed by another with the next entry."""

_log = get_logger("node_cache")
_SUM_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class NodeCache:
    """One folder. Cheap to make and to pickle; the folder is made with the first entry."""

    root: Path
    max_bytes: int  # of all entries; 0: keep nothing
    floor_bytes: int = 0  # left free on the disk

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The one of this machine."""
        return cls(
            settings.node_cache or settings.home / "cache",
            max_bytes=settings.node_cache_max_bytes,
            floor_bytes=settings.disk_floor_bytes,
        )

    def fetch(self, key: str, load: Callable[[], bytes], *, is_wanted: Callable[[], bool] = lambda: True) -> bytes:
        """The bytes of `key`: from here, else by `load`, and then kept.

        Args:
            key: names one content for ever, e.g. an address with the version that it had.
            load: fetches them; what it raises goes to the caller.
            is_wanted: asked after `load`: whether what came is what the key names.
        """
        path = self._path(key)
        if self.max_bytes <= 0:
            return load()
        try:
            if (known := _read(path)) is not None:
                return known
        except OSError as error:
            _tell(self.root, str(error))
        content = load()
        if is_wanted():
            try:
                self._keep(path, content)
            except OSError as error:  # a cache that is full or gone is no reason to stop a training
                _tell(self.root, str(error))
        return content

    def used_bytes(self) -> int:
        """Of all files that are here."""
        return sum(size for _, size, _ in self._files())

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.root / digest[:2] / digest[2:]

    def _keep(self, path: Path, content: bytes) -> None:
        size = len(content) + _SUM_BYTES
        if size > self.max_bytes * (1 - SWEPT_SHARE):
            return  # one entry must not drive out all others
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_suffix(".partial")) as (partial, file):
            if file is None or path.exists():
                return  # another process is at it, or was
            file.truncate()
            file.write(content)
            file.write(hashlib.sha256(content).digest())
            file.flush()
            if self._has_room(size):
                partial.replace(path)

    def _has_room(self, size: int) -> bool:
        """Count an entry that lies in its partial file, and make room for it; False where the disk has none."""
        with (self.root / "used").open("a+b") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            ledger.seek(0)
            told = ledger.read()
            used = size + (int(told) if told.isdigit() else self.max_bytes)  # no count: make one
            if used > self.max_bytes or self._free() < 0:
                used = self._sweep()
            has_room = used <= self.max_bytes and self._free() >= 0
            ledger.truncate(0)
            ledger.write(b"%d" % (used if has_room else used - size))
            return has_room

    def _free(self) -> int:
        return shutil.disk_usage(self.root).free - self.floor_bytes

    def _sweep(self) -> int:
        """Delete leftovers and what was not used for longest, down to the share; bytes that are left."""
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            is_partial = path.suffix == ".partial"
            if not is_partial and used <= self.max_bytes * SWEPT_SHARE and self._free() >= 0:
                continue
            if delete_unheld(path) if is_partial else _delete(path):
                used -= size
        return used

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Last use, size and path."""
        for folder in self.root.glob("??"):
            with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # another process was quicker
                        status = entry.stat()
                        yield status.st_mtime, status.st_size, Path(entry.path)


@cache
def _tell(root: Path, error: str) -> None:
    """Once in a process: the next clip would say the same."""
    _log.warning("the cache of this machine cannot be used", folder=str(root), error=error)


def _read(path: Path) -> bytes | None:
    """What an entry holds; None where there is none, or a damaged one, which goes."""
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        return None
    content, told = kept[:-_SUM_BYTES], kept[-_SUM_BYTES:]
    if hashlib.sha256(content).digest() != told:
        _delete(path)
        return None
    with contextlib.suppress(OSError):  # gone meanwhile, or on a disk that can only be read
        os.utime(path, (time.time(), time.time()))
    return content


@contextmanager
def _alone(path: Path) -> Iterator[tuple[Path, IO[bytes] | None]]:
    """A file that no other process writes; None in its place where one does."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield path, None
            return
        if not is_still(path, file):
            yield path, None
            return
        try:
            yield path, file
        finally:
            if is_still(path, file):
                path.unlink(missing_ok=True)


def _delete(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True
