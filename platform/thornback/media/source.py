"""Getting a video: from the web, from S3, from what was uploaded, or from this machine's disk."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import anyio
import anyio.to_thread

from thornback.artifacts.fetch import BACKOFF, Tell, Unchanged, Wait, fetch, shown
from thornback.artifacts.files import CHUNK_BYTES, Location, join, locate
from thornback.artifacts.layout import uploads_uri
from thornback.artifacts.s3_store import REFUSED
from thornback.errors import FetchFailed, InvalidInput, NotFound, StorageUnavailable, Unavailable
from thornback.media.cache import MediaCache, Origin
from thornback.media.container import refused
from thornback.media.probe import VideoInfo, VideoLimits, probe_apart
from thornback.net.rules import AddressRules
from thornback.net.s3 import check_s3, with_key
from thornback.settings import Settings

FIELD = "video"
PROBE = "probe-1"  # the result in the cache; another number where `VideoInfo` changes
FLOOR_EVERY_BYTES = 64 << 20  # so often the disk is asked
TURN_S = 0.2  # between two looks whether another process has fetched it

_WEB = ("https://", "http://")
_NO_VIDEO = ("text/", "image/", "application/pdf", "application/zip", "application/xml", "application/gzip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A file on this machine, which stays as long as its context is open."""

    path: Path
    sha256: str  # hex
    size_bytes: int
    was_here: bool  # nothing had to be fetched


def is_local_allowed(settings: Settings) -> bool:
    """Whether a video may be named by its path: left unset, only where nobody but this machine reaches the API."""
    if settings.allow_local_paths is not None:
        return settings.allow_local_paths
    try:
        return ip_address(settings.host).is_loopback
    except ValueError:
        return settings.host == "localhost"


def video_upload_uri(storage: str, upload_id: str) -> str:
    """Where a video lies that somebody sent. Raises InvalidInput for what is no id."""
    if not upload_id.isascii() or not upload_id.replace("-", "").isalnum():
        raise InvalidInput.field(FIELD, "upload: must be followed by the id of an upload")
    return join(uploads_uri(storage), f"{upload_id}.video")


def check_source(uri: str, settings: Settings) -> None:
    """Refuse at once what could never be taken; nothing is looked up or asked.

    Raises:
        InvalidInput: says what can be named.
        AddressRefused: an address that may not be reached.
    """
    if uri.startswith(_WEB):
        AddressRules.of(settings).check_url(uri)
    elif uri.startswith("s3://"):
        check_s3(uri, settings)
    elif uri.startswith("upload:"):
        video_upload_uri(settings.storage, uri.removeprefix("upload:"))
    elif ":" in uri.partition("/")[0] or "\0" in uri or not uri:
        raise InvalidInput.field(FIELD, f"{shown(uri)[:80]} is none of https://, http://, s3://, upload:<id> or a path")
    elif not is_local_allowed(settings):
        raise InvalidInput.field(
            FIELD,
            "paths of the server are not taken (THORNBACK_ALLOW_LOCAL_PATHS); upload the file and name upload:<id>",
        )
    elif not Path(uri).is_absolute():
        raise InvalidInput.field(FIELD, "a path must begin with /: other processes have another working folder")


@asynccontextmanager
async def open_source(
    uri: str,
    settings: Settings,
    *,
    cache: MediaCache | None = None,
    tell: Tell | None = None,
    wait: Wait = BACKOFF,
) -> AsyncIterator[Video]:
    """Bring a video to this machine, where it is not yet.

    What comes from the web or S3 goes into the cache and is held there; a file of this machine is used where it is.

    Args:
        uri: https://, http://, s3://, `upload:<id>` or an absolute path.
        settings: limits, storage, rules.
        cache: another than this machine's.
        tell: bytes that are here, and of how many where that is known.
        wait: between two tries.

    Raises:
        InvalidInput, AddressRefused: as `check_source`.
        NotFound, OutputGone: it is not there.
        DataError: too large, or plainly something else than a video.
        FetchFailed: refused by its server.
        Unavailable: it did not work this time, or the disk is too full.
    """
    check_source(uri, settings)
    shelf = await _shelf(cache, settings)
    way = _Way(settings, shelf, tell, wait)
    if uri.startswith(_WEB):
        bring = partial(way.from_web, uri)
    else:
        place = locate(_address(uri, settings))
        if place.is_local:
            with _named(uri):
                video = await anyio.to_thread.run_sync(_on_disk, Path(place.path), settings)
            yield video
            return
        bring = partial(way.from_storage, place)
    async with _cached(uri, shelf, partial(_brought, uri, bring)) as video:
        yield video
    await anyio.to_thread.run_sync(_trim, shelf)


async def inspect(video: Video, settings: Settings, *, cache: MediaCache | None = None) -> VideoInfo:
    """What a video is; looked up where it was seen before, else `probe_apart`. Raises DataError."""
    shelf = await _shelf(cache, settings)
    limits = VideoLimits.of(settings)
    known = await anyio.to_thread.run_sync(shelf.result, video.sha256, PROBE)
    if isinstance(known, dict):
        info = VideoInfo(**known)
        info.check(limits)  # they may have been changed since
        return info
    info = await anyio.to_thread.run_sync(probe_apart, video.path, limits)
    await anyio.to_thread.run_sync(shelf.keep_result, video.sha256, PROBE, info.to_dict())
    return info


async def _shelf(given: MediaCache | None, settings: Settings) -> MediaCache:
    return given if given is not None else await anyio.to_thread.run_sync(MediaCache.of, settings)


Bring = Callable[[str | None, Path], Awaitable[Origin]]
"""Writes a file, given the etag of what is here already; says what it wrote. Raises Unchanged."""


@asynccontextmanager
async def _cached(uri: str, cache: MediaCache, bring: Bring) -> AsyncIterator[Video]:
    """What is in the cache, asked whether it is still so, or brought there; several processes bring it once."""
    with ExitStack() as held:
        async with _turn(cache, uri):
            known = cache.origin(uri)
            path = None if known is None else held.enter_context(cache.hold(known.sha256))
            was_here = False
            with cache.incoming() as target:
                try:
                    origin = await bring(None if known is None or path is None else known.etag, target)
                    path = held.enter_context(cache.adopt(target, origin.sha256))
                    cache.remember(uri, origin)
                except Unchanged:
                    if known is None or path is None:
                        raise Unavailable(f"{shown(uri)} answers as if we had it already; try again") from None
                    origin, was_here = known, True
        yield Video(path=path, sha256=origin.sha256, size_bytes=path.stat().st_size, was_here=was_here)


@asynccontextmanager
async def _turn(cache: MediaCache, uri: str) -> AsyncIterator[None]:
    while True:
        with cache.turn(uri) as is_ours:
            if is_ours:
                yield
                return
        await anyio.sleep(TURN_S)


async def _brought(uri: str, bring: Bring, etag: str | None, target: Path) -> Origin:
    with _named(uri):
        return await bring(etag, target)


@contextmanager
def _named(uri: str) -> Iterator[None]:
    """Say of an upload that is missing what to do, and of a bucket that refuses us that it will go on doing so."""
    try:
        yield
    except NotFound as error:
        if not uri.startswith("upload:"):
            raise
        raise NotFound(f"there is no video {uri}; send the file again and name the id that comes back") from error
    except StorageUnavailable as error:
        # Of our own storage that may pass: its keys are replaced now and then.
        if not uri.startswith("s3://") or error.details.get("s3_code") not in REFUSED:
            raise
        raise FetchFailed(error.message, url=shown(uri)) from error


class _Way:
    """How a file comes into the cache."""

    def __init__(self, settings: Settings, cache: MediaCache, tell: Tell | None, wait: Wait) -> None:
        self._settings, self._cache, self._tell, self._wait = settings, cache, tell, wait
        self._max_bytes = settings.video_max_bytes
        self._asked_at = -1

    async def from_web(self, url: str, etag: str | None, target: Path) -> Origin:
        """By HTTP, with everything that `fetch` does."""
        fetched = await fetch(
            url,
            str(target),
            max_bytes=self._max_bytes,
            rules=AddressRules.of(self._settings),
            etag=etag,
            tell=self._here,
            wait=self._wait,
            within_s=self._settings.video_fetch_s,
        )
        if fetched.content_type.startswith(_NO_VIDEO):
            raise refused(f"{shown(url)} is {fetched.content_type}; give the address of the file itself")
        return Origin(fetched.sha256, fetched.etag or "")

    async def from_storage(self, place: Location, etag: str | None, target: Path) -> Origin:
        """From S3."""
        try:
            return await anyio.to_thread.run_sync(self._copy, place, etag, target)
        except StorageUnavailable:
            raise
        except OSError as error:
            raise Unavailable(f"{place.path} could not be fetched: {error}") from error

    def _copy(self, place: Location, etag: str | None, target: Path) -> Origin:
        size, now = place.size(), _stamp(place)
        if etag == now:
            raise Unchanged
        _check_size(size, self._settings)
        digest, here = hashlib.sha256(), 0
        with target.open("wb") as file:
            for chunk in place.chunks(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                here += len(chunk)
                self._here(here, size)
        if here != size:
            raise Unavailable(f"{place.path} has {size} bytes, of which {here} came")
        return Origin(digest.hexdigest(), now)

    def _here(self, size: int, expected: int | None) -> None:
        """Look at the disk before much is written, and now and then."""
        if self._asked_at < 0 and expected is not None:
            self._cache.make_room(expected - size)
        if self._asked_at < 0 or not 0 <= size - self._asked_at < FLOOR_EVERY_BYTES:
            self._cache.check_floor()
            self._asked_at = size
        _check_size(size, self._settings)
        if self._tell is not None:
            self._tell(size, expected)


def _stamp(place: Location) -> str:
    """Names the content of an object as well as can be had for all stores: by its size and last change."""
    info = place.fs.get_file_info(place.path)
    return f"{info.size}-{info.mtime_ns}"


def _address(uri: str, settings: Settings) -> str:
    if uri.startswith("upload:"):
        return video_upload_uri(settings.storage, uri.removeprefix("upload:"))
    return with_key(uri, settings.storage)


def _on_disk(path: Path, settings: Settings) -> Video:
    """A file where it lies; pipes and devices, which never end, are not opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise NotFound(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise refused(f"{path} is no file")
    with os.fdopen(descriptor, "rb") as file:
        _check_size(status.st_size, settings)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Video(path=path, sha256=digest, size_bytes=status.st_size, was_here=True)


def _check_size(size: int, settings: Settings) -> None:
    if size > settings.video_max_bytes:
        limit = settings.video_max_bytes
        raise refused(f"it has {size} bytes, and at most {limit} are taken (THORNBACK_VIDEO_MAX_BYTES)")


def _trim(cache: MediaCache) -> None:
    with suppress(Unavailable):  # said where it matters: before the next one is fetched
        cache.make_room()
