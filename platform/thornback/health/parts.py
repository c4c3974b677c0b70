"""Checks of what has no actor of its own to ask: the storage, the disk, the providers' breakers."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from thornback.artifacts.files import locate
from thornback.errors import StorageUnavailable, Unavailable
from thornback.health.ask import Check
from thornback.providers.open import configured
from thornback.settings import Settings

# A write to S3 costs money, and many may ask for the health.
STORAGE_FRESH_S = 20.0
_PROBE = b"thornback"


class Tells(Protocol):
    """Whoever follows a provider."""

    async def health(self) -> Mapping[str, Any]:
        """See Tracker."""
        ...


class StorageCheck:
    """Writes a small file, reads it again and removes it. A storage that hangs holds one thread, never more."""

    def __init__(self, storage: str, *, now: Callable[[], float] = time.monotonic) -> None:
        """`storage`: of the settings."""
        self._storage = storage
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="storage-check")
        self._going: Future[dict[str, Any]] | None = None
        self._found: tuple[float, dict[str, Any]] | None = None

    async def __call__(self) -> Mapping[str, Any]:
        """Look, unless that was done a moment ago. Raises OSError, Unavailable."""
        if self._found is not None and self._now() - self._found[0] < STORAGE_FRESH_S:
            return self._found[1]
        going = self._going
        if going is None or going.done():
            going = self._going = self._thread.submit(self._probe)
        # Shielded: who stops waiting must not undo the probe that the next one waits for.
        found = await asyncio.shield(asyncio.wrap_future(going))
        self._found = (self._now(), found)
        return found

    def _probe(self) -> dict[str, Any]:
        began = time.perf_counter()
        place = locate(self._storage) / f".health-{socket.gethostname()}-{os.getpid()}"
        try:
            place.write_bytes(_PROBE, content_type="text/plain")
            is_same = place.read_bytes() == _PROBE
        except StorageUnavailable:
            raise
        except OSError as error:
            raise Unavailable(f"the storage cannot be written: {error.strerror or error}") from error
        finally:
            _remove(place)
        if not is_same:
            raise Unavailable("the storage gives back other bytes than it was given")
        return {"local": place.is_local, "write_ms": round((time.perf_counter() - began) * 1000, 2)}


def disk_check(settings: Settings) -> Check:
    """What is free where the platform's home is. Raises Unavailable below the floor of the settings."""

    async def check() -> Mapping[str, Any]:
        free = await asyncio.to_thread(disk_free, settings)
        if free < settings.disk_floor_bytes:
            raise Unavailable(
                f"{free >> 20} MiB are free in {settings.home}, and {settings.disk_floor_bytes >> 20} MiB should be; "
                "delete jobs that nobody needs, or move the storage"
            )
        return {"free_bytes": free}

    return check


def disk_free(settings: Settings) -> int:
    """Bytes. Blocks."""
    return shutil.disk_usage(settings.home).free


def provider_checks(settings: Settings, tracker: Callable[[str], Tells]) -> dict[str, Check]:
    """One for each provider that there is a key for, by the name of the part."""
    return {f"provider:{name}": _provider_check(name, tracker) for name in configured(settings)}


def _provider_check(name: str, tracker: Callable[[str], Tells]) -> Check:
    async def check() -> Mapping[str, Any]:
        found = await tracker(name).health()
        if not found.get("ready", True):
            raise Unavailable(f"the tracker of {name} waits: {(found.get('last_problem') or {}).get('message')}")
        if found.get("breaker") == "open":
            raise Unavailable(
                f"{name} is left alone until {found.get('retry_at')}; the last was: {found.get('last_error')}"
            )
        return found

    return check


def _remove(place: Any) -> None:
    try:
        place.delete_file()
    except OSError:
        return  # what made the check fail may also keep the file; the next check writes over it
