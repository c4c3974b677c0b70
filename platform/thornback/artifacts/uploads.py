"""What people sent, as it lies in the storage once it is whole: `uploads/{id}.zip`, `uploads/{id}.video`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from thornback.artifacts.files import Location, join, locate
from thornback.artifacts.layout import uploads_uri
from thornback.artifacts.location import is_partial
from thornback.artifacts.sweep import is_stale

PICTURES, VIDEO = ".zip", ".video"
SUFFIXES = (PICTURES, VIDEO)


def is_upload_id(id: str) -> bool:
    """True for what can be an id: part of a key, and no way to another."""
    return id.isascii() and id.replace("-", "").isalnum()


def kind_of_upload(storage: str, id: str) -> str | None:
    """Which of `SUFFIXES` it has, None where there is no such upload. Blocks."""
    if not is_upload_id(id):
        return None
    return next((suffix for suffix, place in _places(storage, id) if place.exists()), None)


def note_owner(storage: str, id: str, user: str) -> None:
    """Remember whose an upload is. Blocks. Raises OSError."""
    _owner_place(storage, id).write_bytes(user.encode())


def owner_of_upload(storage: str, id: str) -> str | None:
    """Who sent it; None where nobody wrote that down, as releases before this one did not. Blocks."""
    place = _owner_place(storage, id)
    return place.read_bytes().decode() if is_upload_id(id) and place.exists() else None


def delete_upload(storage: str, id: str) -> None:
    """Remove an upload; a missing one is no error. Blocks.

    Raises:
        OSError: it is still there.
    """
    if is_upload_id(id):
        for _, place in _places(storage, id):
            place.delete_file()
        _owner_place(storage, id).delete_file()


def stale_uploads(storage: str, *, now: datetime, keep: timedelta) -> frozenset[str]:
    """The ids of those that were written longer ago than `keep`. Blocks. Raises OSError."""
    names = (
        entry.path for entry in locate(uploads_uri(storage)).files() if is_stale(entry.modified_at, now=now, keep=keep)
    )
    whole = (name for name in names if "/" not in name and not is_partial(name) and name.endswith(SUFFIXES))
    return frozenset(name.rpartition(".")[0] for name in whole)


def _owner_place(storage: str, id: str) -> Location:
    return locate(join(uploads_uri(storage), f"{id}.owner"))


def _places(storage: str, id: str) -> Iterator[tuple[str, Location]]:
    for suffix in SUFFIXES:
        yield suffix, locate(join(uploads_uri(storage), id + suffix))
