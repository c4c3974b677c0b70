"""Sweeps the storage every hour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from thornback.artifacts.sweep import sweep
from thornback.dispatch.uploads import NamingReader, sweep_uploads
from thornback.errors import StoreUnavailable
from thornback.log import get_logger
from thornback.settings import Settings

INTERVAL_S = 3600.0

log = get_logger("dispatcher")


class Sweeper:
    """One per platform."""

    def __init__(
        self,
        *,
        settings: Settings,
        reader: NamingReader,
        now: Callable[[], datetime],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._now = now
        self._interval_s = interval_s

    async def run(self) -> NoReturn:
        """Sweep for ever."""
        while True:
            await self.look()
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Sweep once."""
        try:
            swept = await asyncio.to_thread(sweep, self._settings.storage, now=self._now())
            uploads = await asyncio.to_thread(sweep_uploads, self._settings, self._reader, now=self._now())
        except (OSError, StoreUnavailable) as error:
            log.warning("old files cannot be deleted now", reason=str(error))
        except Exception:
            # An extra: a fault in it must not end what runs beside it.
            log.exception("sweeping the storage went wrong")
        else:
            if swept.files:
                log.info("temporary files deleted", files=swept.files, size_bytes=swept.size_bytes)
            for id in uploads:
                log.info("an upload that was kept long enough is deleted", upload=id)
