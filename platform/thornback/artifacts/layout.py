"""Where things lie below the storage, other than in the run folder of their job."""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path

from thornback.artifacts.files import join
from thornback.errors import DataError

MODEL_FILE = "model.safetensors"
ONNX_FILE = "model.onnx"
CONFIG_FILE = "config.json"

_UNFIT = re.compile(r"[^\w.-]+")
_FIT_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST_AT_END = re.compile(r"_[0-9a-f]{10}$")
_STORED = "stored:"
_STORED_KEY = re.compile(r"datasets/[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9-]*/dataset\.zip")


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
    """The folder of what people sent."""
    return join(storage, "uploads")


def loras_uri(storage: str, user: str | None, job_id: str) -> str:
    """The folder of all versions that a job made: `loras/{userId}/{jobId}`."""
    return join(storage, "loras", user_key(user), job_id)


def lora_uri(storage: str, user: str | None, job_id: str, version: int) -> str:
    """The folder of one version, with `MODEL_FILE` and `CONFIG_FILE`: `loras/{userId}/{jobId}/v{version}`."""
    return join(loras_uri(storage, user, job_id), f"v{version}")


def models_uri(storage: str, user: str | None, job_id: str) -> str:
    """The same of models that are no LoRAs: `models/{userId}/{jobId}`."""
    return join(storage, "models", user_key(user), job_id)


def model_uri(storage: str, user: str | None, job_id: str, version: int) -> str:
    """The folder of one version of them, with `ONNX_FILE` and `CONFIG_FILE`: `models/{userId}/{jobId}/v{version}`."""
    return join(models_uri(storage, user, job_id), f"v{version}")


def dataset_uri(storage: str, user: str | None, job_id: str) -> str:
    """The folder of a dataset made from a video, with `images/` and `captions/`: `datasets/{userId}/{jobId}`."""
    return join(storage, "datasets", user_key(user), job_id)


def stored_dataset(key: str) -> str:
    """How a job names the ZIP of a dataset in the storage: without that one's address, which may hold a key to it."""
    return f"{_STORED}{key}"


def is_stored_dataset(source: str) -> bool:
    """True for what `stored_dataset` makes."""
    return source.startswith(_STORED)


def stored_dataset_uri(storage: str, source: str) -> str:
    """Where such a ZIP lies. Raises DataError for what names another file."""
    key = source.removeprefix(_STORED)
    if not _STORED_KEY.fullmatch(key):
        raise DataError("stored: must be followed by datasets/<user>/<job>/dataset.zip")
    return join(storage, key)


def temp_root(storage: str) -> str:
    """The folder of all that may be deleted a day after it was written."""
    return join(storage, "temp")


def temp_uri(storage: str, job_id: str) -> str:
    """Where a job keeps what only it needs, and only while it runs: `temp/{jobId}`."""
    return join(temp_root(storage), job_id)


def work_folder(storage: str, home: Path, job_id: str) -> Path:
    """The same on this machine, for what is read and written in pieces: in the storage where that is a folder."""
    return home / "temp" / job_id if "://" in storage else Path(temp_uri(storage, job_id))


def user_key(user: str | None) -> str:
    """A user's name as one part of a key: itself where it fits, else what fits of it and ten digits of its SHA-256.

    Two users never share a key: a name that looks like the second form gets digits of its own. Jobs of nobody
    lie under `local`, as do those of a user of that name.
    """
    if not user:
        return "local"
    if _FIT_USER.fullmatch(user) and not _DIGEST_AT_END.search(user):
        return user
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", user).strip("._-")[:48] or "user"
    return f"{stem}_{hashlib.sha256(user.encode()).hexdigest()[:10]}"
