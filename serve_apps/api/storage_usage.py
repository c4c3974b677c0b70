"""How full the storage is: looked at in the background, since that takes long, and kept with its date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from thornback.artifacts.usage import Area
from thornback.log import get_logger

STALE = timedelta(minutes=15)

log = get_logger("api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One look."""

    at: datetime
    areas: Sequence[Area] = ()
    problem: str | None = None  # why it could not be looked at


class StorageUsage:
    """The last look, and at most one that is under way."""

    def __init__(self, measure: Callable[[], Sequence[Area]], *, now: Callable[[], datetime]) -> None:
        """`measure` may block."""
        self._measure = measure
        self._now = now
        self._task: asyncio.Task[None] | None = None
        self.last: Measured | None = None

    @property
    def is_measuring(self) -> bool:
        """True while a look is under way."""
        return self._task is not None and not self._task.done()

    def refresh(self, *, anew: bool = False) -> None:
        """Begin to look where the last look is long ago; `anew`: in any case."""
        is_fresh = self.last is not None and self._now() - self.last.at < STALE
        if not self.is_measuring and (anew or not is_fresh):
            self._task = asyncio.create_task(self._look(), name="measure the storage")

    async def settled(self) -> None:
        """Wait for the look that is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _look(self) -> None:
        try:
            areas = await asyncio.to_thread(self._measure)
        except OSError as error:
            self.last = Measured(at=self._now(), areas=self.last.areas if self.last else (), problem=str(error))
        except Exception:  # whatever the storage does, the page says that it could not be looked at
            log.exception("the storage cannot be measured")
            self.last = Measured(at=self._now(), problem="it could not be measured; the log of the API says why")
        else:
            self.last = Measured(at=self._now(), areas=areas)
