"""A ZIP that is made while it is sent. Reads in threads, as `files.py` does."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thornback.artifacts.files import locate
from thornback.datasets.image_zip import caption_name


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image and what it shows."""

    name: str
    uri: str
    caption: str


class _Pipe(io.RawIOBase):
    """What is written waits here to be sent; it cannot seek, so that sizes follow each member."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        self._parts.append(bytes(content))  # type: ignore[call-overload]
        return len(self._parts[-1])

    def take(self) -> bytes:
        """All that was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zip_stream(images: Sequence[StoredImage], *, comment: str) -> Iterator[bytes]:
    """The ZIP, an image at a time, uncompressed; `comment` is stored in it."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = comment.encode()
        for image in images:
            archive.writestr(_member(image.name), locate(image.uri).read_bytes())
            archive.writestr(_member(caption_name(image.name)), image.caption)
            yield pipe.take()
    yield pipe.take()


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)  # without a time: the same set makes the same bytes
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info
