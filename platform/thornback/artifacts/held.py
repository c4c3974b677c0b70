"""Files that processes of one machine hold by a lock, which goes with its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def is_still(path: Path, file: IO[bytes]) -> bool:
    """False where the file was deleted, or replaced, before it could be locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes] | None]:
    """The file to read; None where there is none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file


def delete_unheld(path: Path) -> bool:
    """Delete a file unless a process holds it; True where it is gone."""
    with opened(path) as file:
        if file is None:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if is_still(path, file):
            path.unlink(missing_ok=True)
        return True
