"""Fetches and opens the ZIP that a training was given, as the true trainers do."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

import httpx

_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_TIMEOUT = httpx.Timeout(30.0)


class DatasetFailed(Exception):
    """It cannot be fetched, or is no ZIP; `fetched` tells which."""

    def __init__(self, message: str, *, fetched: bool) -> None:
        super().__init__(message)
        self.fetched = fetched


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was in it."""

    files: int
    pictures: tuple[str, ...]  # names
    captions: frozenset[str]  # names without suffix

    @property
    def uncaptioned(self) -> tuple[str, ...]:
        """The pictures beside which no text stands."""
        return tuple(name for name in self.pictures if PurePosixPath(name).stem not in self.captions)


async def fetch(url: str, *, headers: dict[str, str] | None = None) -> bytes:
    """The bytes behind an address. Raises DatasetFailed."""
    if url.startswith("data:"):
        return _inline(url)
    try:
        async with httpx.AsyncClient(follow_redirects=True, timeout=_TIMEOUT) as client:
            answer = await client.get(url, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DatasetFailed(f"{type(error).__name__} for url: {url}", fetched=False) from None
    if answer.is_error:
        kind = "Client" if answer.is_client_error else "Server"
        words = f"{answer.status_code} {kind} Error: {answer.reason_phrase} for url: {url}"
        raise DatasetFailed(words, fetched=False)
    return answer.content


def _inline(url: str) -> bytes:
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except ValueError:
        raise DatasetFailed("Invalid data URI", fetched=False) from None


def open_zip(body: bytes) -> Dataset:
    """Look into it. Raises DatasetFailed."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            broken = archive.testzip()
            names = [info.filename for info in archive.infolist() if not info.is_dir() and _is_ours(info.filename)]
    except zipfile.BadZipFile:
        raise DatasetFailed("File is not a zip file", fetched=True) from None
    if broken is not None:
        raise DatasetFailed(f"Bad CRC-32 for file '{broken}'", fetched=True)
    paths = [PurePosixPath(name) for name in names]
    return Dataset(
        files=len(names),
        pictures=tuple(path.name for path in paths if path.suffix.lower() in _PICTURES),
        captions=frozenset(path.stem for path in paths if path.suffix.lower() == ".txt"),
    )


def _is_ours(name: str) -> bool:
    return not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith("._")
