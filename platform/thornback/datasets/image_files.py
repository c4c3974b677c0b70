"""The files of a dataset of images, wherever they lie: a folder, a ZIP, s3://, an upload, an image set."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Protocol

from thornback.artifacts.files import CHUNK_BYTES, Location, locate
from thornback.artifacts.layout import images_uri, is_stored_dataset, stored_dataset_uri
from thornback.datasets import image_zip, pictures
from thornback.datasets.image_zip import is_hidden
from thornback.datasets.packing import upload_uri
from thornback.errors import DataError, InvalidInput, NotFound
from thornback.net.s3 import with_key

MAX_FILE_BYTES = pictures.MAX_FILE_BYTES
_JOB = "job:"


class Files(Protocol):
    """The files of a dataset by name."""

    def names(self) -> list[str]:
        """All of them, sorted, hidden ones left out."""
        ...

    def read(self, name: str) -> bytes:
        """One of them, whole. Raises DataError where that cannot be."""
        ...


class FolderFiles:
    """Below a folder or s3:// prefix."""

    def __init__(self, place: Location) -> None:
        self._place = place

    def names(self) -> list[str]:
        """See Files."""
        return [entry.path for entry in self._place.files() if not is_hidden(entry.path)]

    def read(self, name: str) -> bytes:
        """See Files."""
        content = bytearray()
        try:
            for chunk in (self._place / name).chunks(8 * CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_FILE_BYTES:
                    raise DataError(f"it has more than {MAX_FILE_BYTES} bytes")
        # Anything else, a network that is away for example, is no fault of the file: it must not be left out for it.
        except (NotFound, PermissionError, IsADirectoryError) as error:
            raise DataError(f"it cannot be read: {error}") from error
        return bytes(content)


class ZipFiles:
    """In a local ZIP, which is never unpacked to disk: what its members are called harms nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive = zipfile.ZipFile(path)

    def names(self) -> list[str]:
        """See Files."""
        return sorted(
            info.filename for info in self._archive.infolist() if not info.is_dir() and not is_hidden(info.filename)
        )

    def read(self, name: str) -> bytes:
        """See Files."""
        try:
            # More than the table of contents says is never unpacked, and `check_names` has read that.
            content = image_zip.unpack(self._archive, name, most=MAX_FILE_BYTES)
        except KeyError:
            raise DataError(f"the ZIP has no member {name}") from None
        except image_zip.BROKEN as error:
            raise DataError(f"this member of the ZIP is broken: {error}") from error
        if len(content) > MAX_FILE_BYTES:
            raise DataError(f"it has more than {MAX_FILE_BYTES} bytes")
        return content


def open_images(source: str, *, storage: str, into: Path, max_bytes: int = image_zip.MAX_BYTES) -> Files:
    """The files of a dataset.

    Args:
        source: a folder, a ZIP, s3:// of either, `upload:<id>`, `job:<id>` of an image set, or what
            `layout.stored_dataset` makes.
        storage: of the platform; uploads and image sets lie there.
        into: a local folder for a ZIP that has to be fetched.
        max_bytes: of a ZIP, packed and unpacked.

    Raises:
        DataError: it is not there, or is neither a folder nor a ZIP that can be opened safely.
    """
    address = _address(source, storage)
    try:
        place = locate(address)
        if place.is_dir():
            return FolderFiles(place)
        size = place.size()
        path = Path(place.path) if place.is_local or size > max_bytes else _fetched(place, into)
    except NotFound:
        raise DataError("there is no such folder or ZIP") from None
    except (OSError, InvalidInput) as error:
        raise DataError(f"it cannot be read: {error}") from error
    if size > max_bytes:
        raise DataError(f"it has {size} bytes; at most {max_bytes} are taken")
    image_zip.check_names(path, max_bytes=max_bytes)
    return ZipFiles(path)


def job_of(source: str) -> str | None:
    """The id of the image set that a source names; None for any other source."""
    return source.removeprefix(_JOB) if source.startswith(_JOB) else None


def _address(source: str, storage: str) -> str:
    if source.startswith(("https://", "http://")):
        raise DataError("addresses of the web are not read here; upload the ZIP (POST /api/v1/datasets) instead")
    if source.startswith("upload:"):
        return upload_uri(storage, source.removeprefix("upload:"))
    if is_stored_dataset(source):
        return stored_dataset_uri(storage, source)
    job_id = job_of(source)
    if job_id is None:
        return with_key(source, storage)
    if not job_id.replace("-", "").isalnum() or not job_id.isascii():
        raise DataError("job: must be followed by the id of an image set")
    return images_uri(storage, job_id)


def _fetched(place: Location, into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    path = into / "dataset.zip"
    with path.open("wb") as file:
        for chunk in place.chunks():
            file.write(chunk)
    return path
