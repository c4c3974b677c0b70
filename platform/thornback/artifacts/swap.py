"""Replace a small file only where it is still what was read: of several who do so at once, one succeeds."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thornback.artifacts.folder import FolderLocation
from thornback.artifacts.location import Location
from thornback.artifacts.s3 import S3Location
from thornback.artifacts.s3_store import asking, code_of
from thornback.errors import NotFound

# What S3 says where the object is another than was named, or is being written by somebody else.
_LOST = frozenset({"412", "409", "PreconditionFailed", "ConditionalRequestConflict", "404", "NoSuchKey"})


def swap(place: Location, old: bytes | None, new: bytes) -> bool:
    """Write `new` where the file still holds `old`.

    A folder that several machines mount must have locks that reach across them, as NFS 4 has; an S3-compatible
    server must know conditional writes (`If-Match`), else the last of several wins.

    Args:
        place: of the file.
        old: what it is to hold; None: there is to be no file.
        new: what is written.

    Returns:
        False where it holds something else; then nothing was written.
    """
    if isinstance(place, S3Location):
        return _swap_object(place, old, new)
    assert isinstance(place, FolderLocation)  # noqa: S101 - there are two storages
    with _locked(Path(place.path)):
        if _read(place) != old:
            return False
        place.write_bytes(new)
        return True


def _swap_object(place: S3Location, old: bytes | None, new: bytes) -> bool:
    from botocore.exceptions import ClientError

    bucket, _, key = place.path.partition("/")
    ask = place.store.client
    condition = {"IfNoneMatch": "*"}
    try:
        with asking(place.path):
            if old is not None:
                found = ask.get_object(Bucket=bucket, Key=key)
                with found["Body"] as body:
                    if body.read() != old:
                        return False
                condition = {"IfMatch": found["ETag"]}
    except NotFound:
        return False
    with asking(place.path):
        try:
            ask.put_object(Bucket=bucket, Key=key, Body=new, **condition, **place.store.encryption())
        except ClientError as error:
            if code_of(error) in _LOST:
                return False
            raise
    return True


def _read(place: Location) -> bytes | None:
    try:
        return place.read_bytes()
    except NotFound:
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One at a time, in all processes. The lock is called like a file that is still being written: no file to show."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.{0:012x}.partial").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
