"""Where things lie below the storage, other than in the run folder of their job."""

from __future__ import annotations

import posixpath
import re

from thornback.artifacts.files import join

_UNFIT = re.compile(r"[^\w.-]+")


def images_uri(storage: str, job_id: str) -> str:
    """The folder of an image set."""
    return join(storage, "training-images", job_id)


def image_uri(storage: str, job_id: str, character: str, number: int) -> str:
    """One image of a set, always a JPEG: `training-images/{job_id}/{character}_training_XX.jpg`; numbers begin at 1."""
    return join(images_uri(storage, job_id), image_name(character, number))


def image_name(character: str, number: int) -> str:
    """`{character}_training_XX.jpg`, with what does not belong into a file name replaced."""
    stem = _UNFIT.sub("_", character).strip("._") or "character"
    return f"{stem[:80]}_training_{number:02d}.jpg"


def storage_key(storage: str, uri: str) -> str:
    """Where a file lies below the storage, without what only we need to reach that; else its name."""
    root, place = (address.partition("?")[0] if "://" in address else address for address in (storage, uri))
    folder = root.rstrip("/") + "/"
    return place.removeprefix(folder) if place.startswith(folder) else posixpath.basename(place)


def uploads_uri(storage: str) -> str:
    """The folder of datasets that people sent."""
    return join(storage, "datasets")
