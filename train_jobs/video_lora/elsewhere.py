"""A video on a machine that did not fetch it: copied once from the storage into that machine's cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from thornback.artifacts.files import locate
from thornback.errors import NotFound, Unavailable
from thornback.media.cache import MediaCache
from thornback.settings import Settings

PAUSE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoAt:
    """Where a video is to be had."""

    path: str  # on the machine of the driver
    sha256: str
    size_bytes: int
    uri: str | None  # in the storage, for other machines; None where there are none


@contextmanager
def brought(video: VideoAt, settings: Settings) -> Iterator[Path]:
    """The file, which stays until the end of the block. Raises Unavailable where the storage has not got it."""
    cache = MediaCache.of(settings)
    with ExitStack() as held:
        yield _held(video, cache, held)


def _held(video: VideoAt, cache: MediaCache, held: ExitStack) -> Path:
    while True:
        path = held.enter_context(cache.hold(video.sha256))
        if path is not None:
            return path
        with cache.turn(str(video.uri)) as is_mine:
            if is_mine:
                return _copied(video, cache, held)
        time.sleep(PAUSE_S)  # another task of this machine fetches it


def _copied(video: VideoAt, cache: MediaCache, held: ExitStack) -> Path:
    cache.make_room(video.size_bytes)
    with cache.incoming() as partial:
        try:
            locate(str(video.uri)).download(partial)
        except NotFound as error:
            raise Unavailable(f"the video is not in the storage: {error.message}") from error
        with partial.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != video.sha256:
            raise Unavailable(f"the video came damaged from the storage: its SHA-256 is {found}")
        return held.enter_context(cache.adopt(partial, video.sha256))
