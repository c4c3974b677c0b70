"""Turns at the disk and the cores of one machine, in the order of arrival.

Who wants a turn puts a ticket into a folder of the machine and keeps it locked; the lock goes with its process,
however that ends, and with the lock the ticket. The first so many tickets have their turn.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

POLL_S = 0.5


class Turns:
    """Of this machine."""

    def __init__(self, folder: Path, *, slots: int) -> None:
        """`folder`: known to all who share the turns; made where it is not there."""
        self._folder, self._slots = folder, slots

    @asynccontextmanager
    async def take(self, waiting: Callable[[int], None]) -> AsyncIterator[None]:
        """Wait for a turn and have it until the end of the block.

        `waiting` hears how many are before this one, each time that the number changes.
        """
        ticket, file = self._draw()
        try:
            told: int | None = None
            while (before := self._before(ticket.name)) >= self._slots:
                if before != told:
                    waiting(before)
                    told = before
                await anyio.sleep(POLL_S)
            yield
        finally:
            ticket.unlink(missing_ok=True)
            os.close(file)

    def busy(self) -> int:
        """How many have a turn now."""
        return min(self._slots, sum(self._is_alive(name) for name in self._tickets()))

    def _draw(self) -> tuple[Path, int]:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            ticket = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
            file = os.open(ticket, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            if ticket.exists():  # before it was locked, another may have taken it for that of a dead process
                return ticket, file
            os.close(file)

    def _before(self, mine: str) -> int:
        return sum(self._is_alive(name) for name in self._tickets() if name < mine)

    def _tickets(self) -> list[str]:
        return sorted(path.name for path in self._folder.iterdir()) if self._folder.is_dir() else []

    def _is_alive(self, name: str) -> bool:
        """True where somebody holds the ticket; one of a dead process is removed."""
        try:
            file = os.open(self._folder / name, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            (self._folder / name).unlink(missing_ok=True)
            return False
        finally:
            os.close(file)
