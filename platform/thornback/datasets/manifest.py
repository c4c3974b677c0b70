"""Reads what a dataset consists of: a folder with one sub-folder per class, or a manifest.

A manifest is a CSV, JSONL or Parquet table with the columns path and label and, where wanted, snr_db,
approved, split, start and duration. It knows nothing of what the audio files hold.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from thornback.artifacts.files import Location, locate, parent
from thornback.datasets.clips import AUDIO_SUFFIXES, Clip, Listing
from thornback.datasets.manifest_table import BROKEN, Row, Table, read_csv, read_jsonl, read_parquet
from thornback.errors import DataError, InvalidInput

MAX_CELL_CHARS = 4096  # of a path or a label; file systems take no more

_TRUE = frozenset({"true", "1", "1.0", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "0.0", "no", "n", "f"})
_SPLITS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "eval": "test",
}


def list_clips(path: str) -> Listing:
    """List a dataset by its address.

    Raises:
        DataError: there is nothing, nothing that can be read, or a column or value is missing or wrong.
    """
    try:
        place = locate(path)
        if place.is_dir():
            return _list_folder(path, place)
        if not place.exists():
            raise DataError.field("data", f"there is no file or folder {path}")
    except (InvalidInput, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError.field("data", f"{path} cannot be read: {error}") from error
    return _list_manifest(path, place)


def _list_folder(path: str, place: Location) -> Listing:
    clips: list[Clip] = []
    folders: set[str] = set()
    for entry in place.files():
        label, _, rest = entry.path.partition("/")
        if not rest or label.startswith("."):
            continue  # a file beside the class folders
        folders.add(label)
        if entry.path.lower().endswith(AUDIO_SUFFIXES):
            clips.append(Clip(path=entry.path, label=label))
    folders |= set(place.folders())
    if not folders:
        raise DataError.field("data", f"{path} has no sub-folders; one per class is needed, or a manifest file")
    classes = {
        name: f"the folder {posixpath.join(path, name)} has no {', '.join(AUDIO_SUFFIXES)} files"
        for name in folders
        if not name.startswith(".")
    }
    return Listing(root=path, layout="folder", clips=tuple(clips), classes=classes)


def _list_manifest(path: str, place: Location) -> Listing:
    name = path.partition("?")[0].lower()
    reader = next((reader for suffix, reader in _READERS.items() if name.endswith(suffix)), None)
    if reader is None:
        raise DataError.field("data", f"{path} is neither a folder nor one of {', '.join(_READERS)}")
    try:
        columns, rows = reader(place)
        for column in ("path", "label"):
            if column not in columns:
                raise DataError.field("data", f"the manifest {path} has no column {column!r}; it has {sorted(columns)}")
        clips = tuple(_clip(path, number, row) for number, row in enumerate(rows, start=1))
    except BROKEN as error:
        raise DataError.field("data", f"{path} cannot be read: {error}") from error
    if not clips:
        raise DataError.field("data", f"the manifest {path} has no rows")
    unsplit = sum(clip.split is None for clip in clips)
    if 0 < unsplit < len(clips):
        raise DataError.field("data", f"the manifest {path} names a split in some rows but not in {unsplit} of them")
    return Listing(root=parent(path), layout="manifest", clips=clips, classes={clip.label: "" for clip in clips})


def _clip(manifest: str, number: int, row: Row) -> Clip:
    def read(column: str, parse: Callable[[Any], Any]) -> Any:
        try:
            return None if _is_missing(row.get(column)) else parse(row[column])
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError.field("data", f"{manifest}, row {number}, column {column!r}: {error}") from None

    path, label = read("path", _text), read("label", _text)
    if path is None or label is None:
        raise DataError.field("data", f"{manifest}, row {number}: path and label must not be empty")
    return Clip(
        path=path,
        label=label.strip(),
        snr_db=read("snr_db", _number),
        approved=read("approved", _flag),
        split=read("split", _split),
        start=read("start", _seconds) or 0.0,
        duration=read("duration", _seconds) or None,
    )


def _text(value: Any) -> str:
    text = str(value)
    if len(text) > MAX_CELL_CHARS or "\0" in text:
        raise ValueError(f"it has more than {MAX_CELL_CHARS} characters, or a NUL")
    return text


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or (value != value)  # NaN of Parquet


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number


def _seconds(value: Any) -> float:
    seconds = _number(value)
    if seconds < 0:
        raise ValueError(f"{value!r} seconds are negative")
    return seconds


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(f"{value!r} is neither true nor false")
    return text in _TRUE


def _split(value: Any) -> str:
    split = _SPLITS.get(str(value).strip().lower())
    if split is None:
        raise ValueError(f"{value!r} is none of train, val, test")
    return split


_READERS: Mapping[str, Callable[[Location], Table]] = {
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}
