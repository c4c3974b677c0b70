"""Videos by their content, what was found in them, and where each came from; on the disk of one machine.

Several processes use it at once. Nobody holds more than a file lock, which goes with its process; what is written
appears by a rename; what a reader holds is not deleted under it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from thornback.artifacts.held import delete_unheld, is_still, opened
from thornback.errors import Unavailable
from thornback.settings import Settings

LEFTOVER_S = 86_400.0  # files of writers that have died are older

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


@dataclass(frozen=True, slots=True)
class Origin:
    """What an address led to when it was last fetched."""

    sha256: str
    etag: str  # what its server called this content


class MediaCache:
    """Files below one folder."""

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int,
        floor_bytes: int = 0,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Make the folders.

        Args:
            root: where.
            max_bytes: of all files; what is held may be more.
            floor_bytes: what has to be left free on the disk.
            free_bytes: asks the disk.
            now: seconds since 1970, as files have them.
        """
        self._max_bytes, self._floor_bytes, self._free_bytes, self._now = max_bytes, floor_bytes, free_bytes, now
        self._videos, self._results = root / "videos", root / "results"
        self._origins, self._incoming = root / "origins", root / "incoming"
        for folder in (self._videos, self._results, self._origins, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The one of this machine."""
        return cls(
            settings.media_cache or settings.home / "media",
            max_bytes=settings.media_cache_max_bytes,
            floor_bytes=settings.disk_floor_bytes,
        )

    @contextmanager
    def hold(self, sha256: str) -> Iterator[Path | None]:
        """The video with this content, which stays as long as it is held; None where it is not here."""
        path = self._videos / _checked(sha256, _SHA256)
        with opened(path) as file:
            if file is None:
                yield None
                return
            fcntl.flock(file, fcntl.LOCK_SH)
            if not is_still(path, file):
                yield None
                return
            self._touch(path)
            yield path

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A name for a file on its way; what is left there at the end is deleted."""
        path = self._incoming / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def turn(self, address: str) -> Iterator[bool]:
        """True while this process alone fetches from an address; False where another does: ask again soon."""
        path = self._incoming / f"{_digest(address)}.lock"
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            if not is_still(path, file):
                yield False
                return
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def adopt(self, path: Path, sha256: str) -> Iterator[Path]:
        """Take a whole file of `incoming`, whose content is what the caller says, and hold it."""
        target = self._videos / _checked(sha256, _SHA256)
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # before anybody else can see it
            while True:
                try:
                    os.link(path, target)  # never over another one, which may be held
                except FileExistsError:
                    with self.hold(sha256) as held:
                        if held is not None:
                            yield held
                            return
                else:
                    yield target
                    return

    def origin(self, address: str) -> Origin | None:
        """What an address led to; None where that is not known."""
        try:
            known = json.loads((self._origins / _digest(address)).read_bytes())
            return Origin(str(known["sha256"]), str(known["etag"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, address: str, origin: Origin) -> None:
        """Write down what an address led to. Of the address itself, which may be signed, no word is kept."""
        self._write(
            self._origins / _digest(address), json.dumps({"sha256": origin.sha256, "etag": origin.etag}).encode()
        )

    def result(self, sha256: str, name: str) -> Any:
        """What was found in a video, as it was given to `keep_result`; None where there is nothing.

        `name` says what was sought, with what version and options: another name, another result.
        """
        path = self._result_path(sha256, name)
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        self._touch(path)
        return found

    def keep_result(self, sha256: str, name: str, found: Any) -> None:
        """Keep something JSON-ready."""
        self._write(self._result_path(sha256, name), json.dumps(found).encode())

    def make_room(self, size_bytes: int = 0) -> None:
        """Delete what was not used for longest, until so many bytes more fit; what is held stays.

        Raises:
            Unavailable: the disk itself has too little left.
        """
        files = self._files()
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            fits = total + size_bytes <= self._max_bytes
            if fits and self._left(size_bytes) >= 0:
                return
            if delete_unheld(path):
                total -= size
        self.check_floor(size_bytes)

    def check_floor(self, size_bytes: int = 0) -> None:
        """Raises Unavailable where so many bytes more would leave too little of the disk."""
        if self._left(size_bytes) < 0:
            free = self._free_bytes(self._videos) / 1e9
            raise Unavailable(
                f"the disk of {self._videos.parent} has {free:.1f} GB left, of which "
                f"{self._floor_bytes / 1e9:.1f} GB stay free (THORNBACK_DISK_FLOOR_BYTES); free some"
            )

    def _left(self, size_bytes: int) -> int:
        return self._free_bytes(self._videos) - size_bytes - self._floor_bytes

    def _files(self) -> list[tuple[float, int, Path]]:
        """Last use, size and path of all that may go; leftovers of dead writers first of all."""
        found = []
        for folder in (self._videos, self._results, self._origins, self._incoming):
            for path in folder.rglob("*"):
                with contextlib.suppress(FileNotFoundError):  # another process was quicker
                    status = path.stat()
                    if path.is_dir() or (folder == self._incoming and status.st_mtime > self._now() - LEFTOVER_S):
                        continue
                    used = 0.0 if folder == self._incoming else status.st_mtime
                    found.append((used, status.st_size, path))
        return found

    def _result_path(self, sha256: str, name: str) -> Path:
        return self._results / _checked(sha256, _SHA256) / f"{_checked(name, _NAME)}.json"

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        with self.incoming() as partial:
            partial.write_bytes(content)
            partial.replace(path)

    def _touch(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (self._now(), self._now()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(text: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no key of the cache")
    return text
