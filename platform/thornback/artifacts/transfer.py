"""Many files at once into the storage."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from thornback.artifacts.files import locate

WORKERS = 12  # S3 answers in tens of milliseconds; each holds at most one file of 8 MiB in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What has arrived."""

    files: int
    size_bytes: int


def upload_tree(
    folder: Path, uri: str, *, workers: int = WORKERS, tell: Callable[[float], None] | None = None
) -> Uploaded:
    """Copy a local folder with all below it to `uri`, several files at once. Blocks.

    Each file is there whole or not at all. Where one cannot be written the others that have not begun are left
    out; a second call puts all of them again.

    Args:
        folder: its files, links followed.
        uri: where to.
        workers: files at once; of a large one also eight parts at once.
        tell: called in this thread with the share of bytes that have arrived, in (0, 1].

    Raises:
        OSError: a file cannot be read or written; the first such.
    """
    sizes = {entry.path: entry.size_bytes for entry in locate(str(folder)).files()}
    total, done = sum(sizes.values()), 0
    place = locate(uri)

    def put(path: str) -> str:
        (place / path).upload(folder / path)
        return path

    with ThreadPoolExecutor(workers, thread_name_prefix="upload") as pool:
        # The largest first, so that none is left alone at the end.
        coming = [pool.submit(put, path) for path in sorted(sizes, key=lambda path: -sizes[path])]
        try:
            for future in as_completed(coming):
                done += sizes[future.result()]
                if tell is not None:
                    tell(done / total if total else 1.0)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return Uploaded(files=len(sizes), size_bytes=total)
