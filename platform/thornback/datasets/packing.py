"""What a hosted trainer is given to train on, made from `config.dataset`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from thornback.artifacts.files import Location, join, locate
from thornback.artifacts.layout import image_name, is_stored_dataset, stored_dataset_uri, uploads_uri
from thornback.datasets import image_zip, pictures
from thornback.datasets.image_zip import Entry, caption_name, is_hidden, is_picture, read_caption
from thornback.errors import DataError, InvalidInput, NotFound
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.lora import RemoteLoraConfig
from thornback.jobs.prompts import expand
from thornback.jobs.state import JobState
from thornback.net.s3 import with_key
from thornback.settings import Settings

FIELD = "config.dataset"
_AS_IT_IS = frozenset({"JPEG", "PNG", "WEBP"})  # what every trainer reads; the rest becomes JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A dataset on its way to a provider: either an address that is passed on, or a ZIP to be handed over."""

    url: str | None = None
    path: Path | None = None
    images: int | None = None  # the rest is None for an address: nobody has looked behind it
    captions: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None  # hex


class _Row(Protocol):
    @property
    def state(self) -> JobState: ...


class SetReader(Protocol):
    """What is read of image sets; `StoreReader` is one."""

    def job(self, job_id: str) -> _Row:
        """One job. Raises JobNotFound."""
        ...

    def items(self, job_id: str) -> Sequence[ItemState]:
        """Its items by number."""
        ...


def pack(config: RemoteLoraConfig, *, settings: Settings, reader: SetReader, into: Path) -> Packed:
    """Make what the provider gets, before anything is paid. Blocks: call it in a thread.

    - an https:// address is passed on;
    - a ZIP (a path, s3://, `upload:<id>` or what `layout.stored_dataset` makes) is checked and handed over as it is;
    - a folder (a path or s3://) becomes a ZIP of its pictures and their same-name .txt captions;
    - `job:<id>` becomes a ZIP of the pictures that the image set has stored. Their captions are the prompts,
      the trigger word in front where a prompt does not hold it.

    Captions are left out of a ZIP that is made here where `captioning` is disabled, and from an image set's
    also where it is automatic.

    Args:
        config: of the training.
        settings: where uploads lie, and how large a dataset may be.
        reader: of image sets.
        into: a folder for the ZIP.

    Raises:
        DataError: names `config.dataset` (or `config.captioning`) and what to do about it.
    """
    dataset = config.dataset
    if dataset.startswith(("https://", "http://")):
        return Packed(url=dataset)
    try:
        path = _zip_of(dataset, config, settings, reader, into)
        report = image_zip.check_zip(path, max_bytes=settings.dataset_max_bytes)
    except (DataError, NotFound) as error:
        raise DataError.field(FIELD, f"{dataset}: {error}") from error
    except (OSError, InvalidInput) as error:
        raise DataError.field(FIELD, f"{dataset} cannot be read: {error}") from error
    if config.captioning == "manual" and not report.captions:
        problem = f"manual, but {dataset} has no caption: put a .txt with the same name beside each picture"
        raise DataError.field("config.captioning", problem)
    return Packed(
        path=path,
        images=report.images,
        captions=report.captions,
        size_bytes=report.size_bytes,
        sha256=report.sha256,
    )


def _zip_of(dataset: str, config: RemoteLoraConfig, settings: Settings, reader: SetReader, into: Path) -> Path:
    scheme, colon, name = dataset.partition(":")
    if colon and scheme == "job":
        return _made(into, _from_job(name, config, reader))
    if colon and scheme == "upload":
        dataset = upload_uri(settings.storage, name)
    elif is_stored_dataset(dataset):
        dataset = stored_dataset_uri(settings.storage, dataset)
    else:
        dataset = with_key(dataset, settings.storage)
    place = locate(dataset)
    if place.is_dir():
        return _made(into, _from_folder(place, with_captions=config.captioning != "disabled"))
    if place.size() > settings.dataset_max_bytes:
        raise DataError(f"it has {place.size()} bytes; at most {settings.dataset_max_bytes} are taken")
    return Path(place.path) if place.is_local else _copied(place, into)


def upload_uri(storage: str, upload_id: str) -> str:
    """Where a dataset lies that somebody sent. Raises DataError for what is no id."""
    if not upload_id.replace("-", "").isalnum() or not upload_id.isascii():
        raise DataError("upload: must be followed by the id of an upload")
    return join(uploads_uri(storage), f"{upload_id}.zip")


def zip_folder(folder: str, into: Path) -> Path:
    """A folder's pictures and captions as a ZIP below `into`; returns the ZIP. Raises DataError."""
    return _made(into, _from_folder(locate(folder), with_captions=True))


def captioned(prompt: str, trigger_word: str | None) -> str:
    """A prompt as caption: what calls the subject has to be in it."""
    if trigger_word is None or re.search(rf"(?<!\w){re.escape(trigger_word)}(?!\w)", prompt, re.IGNORECASE):
        return prompt
    return f"{trigger_word}, {prompt}"


def _made(into: Path, entries: Iterator[Entry]) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    path = into / "dataset.zip"
    image_zip.write_zip(path, entries)
    return path


def _copied(place: Location, into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    path = into / "dataset.zip"
    with path.open("wb") as file:
        for chunk in place.chunks():
            file.write(chunk)
    return path


def _from_folder(folder: Location, *, with_captions: bool) -> Iterator[Entry]:
    sizes = {entry.path: entry.size_bytes for entry in folder.files() if not is_hidden(entry.path)}
    names = [name for name in sizes if is_picture(name)]
    if not names:
        raise DataError("the folder holds no picture")
    stems = [caption_name(_flat(name)) for name in names]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise DataError(f"several pictures are called {twice.removesuffix(image_zip.CAPTION)}")
    for name in sorted(names):
        if sizes[name] > pictures.MAX_FILE_BYTES:
            raise DataError(f"{name} has more than {pictures.MAX_FILE_BYTES} bytes")
        yield _picture(name, (folder / name).read_bytes())
        caption = caption_name(name)
        if with_captions and caption in sizes:
            text = read_caption(caption, (folder / caption).read_bytes())
            yield Entry(name=_flat(caption), content=text.encode())


def _picture(name: str, content: bytes) -> Entry:
    try:
        if pictures.check(content).format in _AS_IT_IS:
            return Entry(name=_flat(name), content=content)
        return Entry(
            name=caption_name(_flat(name)).removesuffix(".txt") + ".jpg", content=pictures.to_jpeg(content).content
        )
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _flat(name: str) -> str:
    """Trainers look for pictures in the first folder of a ZIP only."""
    return name.replace("/", "_")


def _from_job(job_id: str, config: RemoteLoraConfig, reader: SetReader) -> Iterator[Entry]:
    job = reader.job(job_id).state
    if job.kind != "image_set":
        raise DataError(f"job {job_id} is no image set but {job.kind}")
    if not job.status.is_final:
        raise DataError(f"the image set is {job.status}; wait for its end or cancel it")
    made = ImageSetConfig.model_validate(job.spec["config"])
    stored = [item for item in reader.items(job_id) if item.status is ItemStatus.STORED and item.uri is not None]
    if not stored:
        raise DataError("the image set has no picture")
    prompts = expand(made)
    for item in stored:
        name = image_name(made.character, item.item)
        yield Entry(name=name, content=locate(str(item.uri)).read_bytes())
        if config.captioning in (None, "manual"):
            text = captioned(prompts[item.item - 1], config.trigger_word)
            yield Entry(name=caption_name(name), content=text.encode())
