"""Images with captions: what a dataset holds, as the first look finds it.

Nothing is decoded into memory for good here: names, hashes, sizes and captions are found out, and each
image is checked to its last line once. What cannot be used is dropped and named.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Self

from thornback.artifacts.layout import image_name
from thornback.datasets import pictures
from thornback.datasets.image_files import Files, FolderFiles, ZipFiles, job_of, open_images
from thornback.datasets.image_zip import caption_name, is_picture, read_caption
from thornback.datasets.packing import captioned
from thornback.errors import DataError
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.prompts import expand
from thornback.jobs.state import JobState

__all__ = [
    "CaptionedImage",
    "Files",
    "FolderFiles",
    "ImageIndex",
    "ZipFiles",
    "caption_for",
    "captions_of_set",
    "job_of",
    "look",
    "open_images",
    "refuse_broken",
]

PLACEHOLDER = "[trigger]"
METADATA = "metadata.jsonl"
MASK_SHAPE = 0.02
"""By how much, as a share, a mask's aspect ratio may differ from its image's."""

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
    mask_sha256: str | None = None  # of that file, hex


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """What a dataset holds, as the first look found it; every worker reads the same."""

    source: str  # an address that `open_images` takes
    images: tuple[CaptionedImage, ...]  # no two of the same content
    dropped: Mapping[str, str] = field(default_factory=dict)  # name -> why
    duplicates: Mapping[str, str] = field(default_factory=dict)  # name -> the image that is taken for it
    masks: str | None = None  # an address that `open_images` takes

    @property
    def sha256(self) -> str:
        """Of all images, masks and captions, whatever they are called."""
        lines = sorted(f"{image.sha256} {image.mask_sha256 or ''} {image.caption}" for image in self.images)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def as_json(self) -> bytes:
        """For a file."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The inverse of `as_json`."""
        values: dict[str, Any] = json.loads(content)
        return cls(**{**values, "images": tuple(CaptionedImage(**image) for image in values["images"])})


def look(
    files: Files,
    *,
    source: str,
    trigger_word: str | None = None,
    default_caption: str | None = None,
    captions: Mapping[str, str] | None = None,
    masks: Files | None = None,
    masks_source: str | None = None,
) -> ImageIndex:
    """Read every image once.

    Args:
        files: of the dataset.
        source: where they lie.
        trigger_word: put into each caption.
        default_caption: of images that have none.
        captions: by names, of images with neither a .txt nor a line in metadata.jsonl.
        masks: where there are some; each belongs to the image of its path or, failing that, of its stem.
        masks_source: where they lie.

    Raises:
        DataError: the table of captions is broken, or masks were given and none belongs to an image.
    """
    names = files.names()
    there = set(names)
    described = {**(captions or {}), **_metadata(files, names)}
    mask_of = _masks(masks)
    images: dict[str, CaptionedImage] = {}
    dropped: dict[str, str] = {}
    duplicates: dict[str, str] = {}
    for name in names:
        if not is_picture(name):
            continue
        try:
            own = _caption(name, files, there, described)
            caption = caption_for(default_caption if own is None else own, trigger_word)
            image = _image(name, files.read(name), caption, masks, _mask_for(name, mask_of))
        except DataError as error:
            dropped[name] = error.message
            continue
        kept = images.setdefault(image.sha256, image)
        if kept is not image:
            duplicates[name] = kept.name
    if masks is not None and images and all(image.mask is None for image in images.values()):
        raise DataError.field("config.masks", f"no picture in {masks_source} is called like an image of {source}")
    return ImageIndex(
        source=source, images=tuple(images.values()), dropped=dropped, duplicates=duplicates, masks=masks_source
    )


def refuse_broken(index: ImageIndex, *, most: float, setting: str, field: str = "config.dataset") -> None:
    """Raise DataError where nothing is left, or more than the share `most` cannot be used.

    Args:
        index: of the images.
        most: share of broken ones that is allowed.
        setting: the field that says so.
        field: the field that names the dataset.
    """
    total = len(index.images) + len(index.duplicates) + len(index.dropped)
    if not index.images:
        raise DataError.field(field, f"{index.source} holds no image that can be read{_named(index)}")
    share = len(index.dropped) / total
    if share > most:
        problem = f"{len(index.dropped)} of {total} images ({share:.1%}) cannot be used and {most:.1%} are allowed"
        raise DataError.field(setting, f"{problem}{_named(index)}")


def caption_for(caption: str | None, trigger_word: str | None) -> str:
    """A caption as it is learned: the trigger word instead of its placeholder, or in front where it is missing."""
    text = caption or ""
    if PLACEHOLDER in text:
        return " ".join(text.replace(PLACEHOLDER, trigger_word or "").split())
    if not text:
        return trigger_word or ""
    return captioned(text, trigger_word)


def captions_of_set(state: JobState) -> dict[str, str]:
    """File name -> prompt of the images of a finished image set. Raises DataError for any other job."""
    if state.kind != "image_set":
        raise DataError(f"job {state.id} is no image set but {state.kind}")
    if not state.status.is_final:
        raise DataError(f"the image set is {state.status}; wait for its end or cancel it")
    made = ImageSetConfig.model_validate(state.spec["config"])
    return {image_name(made.character, number): prompt for number, prompt in enumerate(expand(made), 1)}


def filled(prompts: Sequence[str], trigger_word: str | None) -> list[str]:
    """Prompts with the trigger word in its place; nothing is added to them."""
    return [prompt.replace(PLACEHOLDER, trigger_word or "").strip() for prompt in prompts]


def _image(name: str, content: bytes, caption: str, masks: Files | None, mask: str | None) -> CaptionedImage:
    width, height = pictures.upright_size(content)
    return CaptionedImage(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        width=width,
        height=height,
        caption=caption,
        mask=mask,
        mask_sha256=None if masks is None or mask is None else _check_mask(masks, mask, (width, height)),
    )


def _check_mask(masks: Files, name: str, size: tuple[int, int]) -> str:
    try:
        content = masks.read(name)
        width, height = pictures.upright_size(content)
    except DataError as error:
        raise DataError(f"its mask {name}: {error.message}") from error
    if abs(width * size[1] / (height * size[0]) - 1.0) > MASK_SHAPE:
        raise DataError(f"its mask {name} is {width} x {height} and the image {size[0]} x {size[1]}")
    return hashlib.sha256(content).hexdigest()


def _masks(masks: Files | None) -> dict[str, str]:
    """Path without its ending, and the bare stem where no other has it -> name of the mask."""
    names = [] if masks is None else [name for name in masks.names() if is_picture(name)]
    by_stem = {PurePosixPath(name).stem: name for name in reversed(names)}
    return by_stem | {posixpath.splitext(name)[0]: name for name in names}


def _mask_for(name: str, mask_of: Mapping[str, str]) -> str | None:
    return mask_of.get(posixpath.splitext(name)[0], mask_of.get(PurePosixPath(name).stem))


def _caption(name: str, files: Files, there: set[str], described: Mapping[str, str]) -> str | None:
    text_file = caption_name(name)
    if text_file in there:
        return read_caption(text_file, files.read(text_file))
    return described.get(name)


def _metadata(files: Files, names: list[str]) -> dict[str, str]:
    """Path -> caption, from the tables that Hugging Face's datasets use; each speaks of its own folder."""
    captions: dict[str, str] = {}
    for table in names:
        if PurePosixPath(table).name != METADATA:
            continue
        bad: list[int] = []
        for number, row in _rows(table, files):
            text = row.get("text", row.get("caption", row.get("prompt"))) if isinstance(row, dict) else None
            name = row.get("file_name") if isinstance(row, dict) else None
            if isinstance(name, str) and isinstance(text, str):
                captions[posixpath.normpath(posixpath.join(posixpath.dirname(table), name))] = text.strip()
            else:
                bad.append(number)
        if bad:
            where = ", ".join(map(str, bad[:_MOST_NAMED])) + (", …" if len(bad) > _MOST_NAMED else "")
            raise DataError(f"{table}: no JSON object with file_name and text in line {where}")
    return captions


def _rows(table: str, files: Files) -> Iterator[tuple[int, Any]]:
    """Number and value of each line that is not empty; None for what is no JSON."""
    try:
        text = files.read(table).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{table} is not UTF-8: {error}") from error
    # Not `splitlines`: JSON may hold its other line ends, U+2028 for example, within a caption.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _named(index: ImageIndex) -> str:
    reasons = [f"{name}: {why}" for name, why in list(index.dropped.items())[:_MOST_NAMED]]
    return "".join((": ", "; ".join(reasons))) if reasons else ""
