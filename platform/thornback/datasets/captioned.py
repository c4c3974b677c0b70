"""Images with captions, from wherever they lie: a folder, a ZIP, s3://, an upload, a finished image set.

Nothing is decoded into memory for good here: names, hashes, sizes and captions are found out, and each
image is checked to its last line once. What cannot be used is dropped and named.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, Self

from thornback.artifacts.files import Location, locate
from thornback.datasets import image_zip, pictures
from thornback.datasets.image_zip import caption_name, is_hidden, is_picture, read_caption
from thornback.datasets.packing import captioned, upload_uri
from thornback.errors import DataError

PLACEHOLDER = "[trigger]"
METADATA = "metadata.jsonl"
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedImage:
    """One image of a dataset."""

    name: str  # its path within the dataset
    sha256: str  # of the file, hex
    width: int  # pixels, upright
    height: int
    caption: str  # with the trigger word in its place; empty where there is none
    mask: str | None = None  # name in the folder of masks


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """What a dataset holds, as the first look found it; every worker reads the same."""

    source: str  # an address that `open_images` takes
    images: tuple[CaptionedImage, ...]
    dropped: Mapping[str, str] = field(default_factory=dict)  # name -> why

    @property
    def sha256(self) -> str:
        """Of all images and captions, whatever they are called."""
        lines = sorted(f"{image.sha256} {image.mask or ''} {image.caption}" for image in self.images)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def as_json(self) -> bytes:
        """For a file."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The inverse of `as_json`."""
        values: dict[str, Any] = json.loads(content)
        images = tuple(CaptionedImage(**image) for image in values["images"])
        return cls(source=values["source"], images=images, dropped=values["dropped"])


class Files(Protocol):
    """The files of a dataset by name."""

    def names(self) -> list[str]:
        """All of them, sorted, hidden ones left out."""
        ...

    def read(self, name: str) -> bytes:
        """One of them, whole."""
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
        return (self._place / name).read_bytes()


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
        with self._archive.open(name) as member:
            content = member.read(pictures.MAX_FILE_BYTES + 1)
        if len(content) > pictures.MAX_FILE_BYTES:
            raise DataError(f"{name} has more than {pictures.MAX_FILE_BYTES} bytes")
        return content


def open_images(source: str, *, storage: str, into: Path) -> Files:
    """The files of a dataset.

    Args:
        source: a folder, a ZIP, s3:// of either, or `upload:<id>`.
        storage: of the platform; uploads lie there.
        into: a local folder for a ZIP that has to be fetched.

    Raises:
        DataError: it is not there, or is neither a folder nor a ZIP that can be opened safely.
    """
    scheme, colon, name = source.partition(":")
    address = upload_uri(storage, name) if colon and scheme == "upload" else source
    if address.startswith(("https://", "http://")):
        raise DataError("addresses of the web are not read here; upload the ZIP (POST /api/v1/datasets) instead")
    place = locate(address)
    if place.is_dir():
        return FolderFiles(place)
    if not place.exists():
        raise DataError("there is no such folder or ZIP")
    path = Path(place.path) if place.is_local else _fetched(place, into)
    image_zip.check_names(path)
    return ZipFiles(path)


def look(
    files: Files,
    *,
    source: str,
    trigger_word: str | None,
    default_caption: str | None,
    masks: Sequence[str] = (),
) -> ImageIndex:
    """Read every image once.

    Args:
        files: of the dataset.
        source: where they lie.
        trigger_word: put into each caption.
        default_caption: of images that have none.
        masks: names of the files in the folder of masks, where there is one.
    """
    names = files.names()
    there = set(names)
    described = _metadata(files) if METADATA in there else {}
    masks_by_stem = {PurePosixPath(mask).stem: mask for mask in masks}
    images: list[CaptionedImage] = []
    dropped: dict[str, str] = {}
    for name in names:
        if not is_picture(name):
            continue
        try:
            own = _caption(name, files, there, described)
            images.append(
                _image(
                    name,
                    files.read(name),
                    caption_for(default_caption if own is None else own, trigger_word),
                    masks_by_stem.get(PurePosixPath(name).stem),
                )
            )
        except DataError as error:
            dropped[name] = error.message
    return ImageIndex(source=source, images=tuple(images), dropped=dropped)


def refuse_broken(index: ImageIndex, *, most: float, setting: str) -> None:
    """Raise DataError where nothing is left, or more than the share `most` cannot be used."""
    total = len(index.images) + len(index.dropped)
    if not index.images:
        raise DataError.field("config.dataset", f"{index.source} holds no image that can be read{_named(index)}")
    share = len(index.dropped) / total
    if share > most:
        problem = f"{len(index.dropped)} of {total} images ({share:.1%}) cannot be used and {most:.1%} are allowed"
        raise DataError.field(setting, f"{problem}{_named(index)}")


def caption_for(caption: str | None, trigger_word: str | None) -> str:
    """A caption as it is learned: the trigger word instead of its placeholder, or in front where it is missing."""
    text = caption or ""
    if PLACEHOLDER in text:
        return text.replace(PLACEHOLDER, trigger_word or "").strip()
    if not text:
        return trigger_word or ""
    return captioned(text, trigger_word)


def _image(name: str, content: bytes, caption: str, mask: str | None) -> CaptionedImage:
    width, height = pictures.upright_size(content)
    return CaptionedImage(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        width=width,
        height=height,
        caption=caption,
        mask=mask,
    )


def _caption(name: str, files: Files, there: set[str], described: Mapping[str, str]) -> str | None:
    text_file = caption_name(name)
    if text_file in there:
        return read_caption(text_file, files.read(text_file))
    return described.get(name)


def _metadata(files: Files) -> dict[str, str]:
    """File name -> caption, from the table that Hugging Face's datasets use."""
    captions: dict[str, str] = {}
    try:
        lines = files.read(METADATA).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{METADATA} is not UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name, text = row["file_name"], row.get("text", row.get("caption", row.get("prompt")))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"line {number} of {METADATA} is no JSON object with file_name and text") from None
        if isinstance(name, str) and isinstance(text, str):
            captions[name] = text.strip()
    return captions


def _fetched(place: Location, into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    path = into / "dataset.zip"
    with path.open("wb") as file:
        for chunk in place.chunks():
            file.write(chunk)
    return path


def _named(index: ImageIndex) -> str:
    reasons = [f"{name}: {why}" for name, why in list(index.dropped.items())[:_MOST_NAMED]]
    return "".join((": ", "; ".join(reasons))) if reasons else ""
