"""The thread that delivers an outbox: batch by batch, in order, each until it is acknowledged."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

from thornback.errors import InvalidInput
from thornback.jobs.events import JobEvent
from thornback.log import get_logger
from thornback.metrics.outbox import Barrier, Outbox
from thornback.metrics.port import Ack

Send = Callable[[Sequence[JobEvent]], Ack]
"""Delivers events and returns the acknowledgement; raises where there is none. No events: a heartbeat."""

BATCH_EVENTS = 500

# The first report goes out at once; what follows gathers for so long.
COALESCE_S = 0.05

# Waits after a failed delivery: 0.1, 0.2, 0.4 … and then every 5 s, for as long as the process lives.
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0

_log = get_logger("reporter")


class Shipper:
    """Delivers in the background; the process may end whenever it likes, the thread is a daemon."""

    def __init__(self, outbox: Outbox, send: Send, *, heartbeat_s: float, heard: Callable[[Ack], None]) -> None:
        """`heard` gets every acknowledgement. Where nothing is to be said, one is asked for each `heartbeat_s`."""
        self._outbox = outbox
        self._send = send
        self._heartbeat_s = heartbeat_s
        self._heard = heard
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._abandoned = False
        self._asked_at = 0.0
        self._thread = threading.Thread(target=self._run, name="thornback-reporter", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once everything was delivered after `close`."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """There is something in the outbox."""
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything reported so far was acknowledged; False where the time was too short."""
        barrier = self._outbox.put_barrier()
        self._hurry.set()
        self._wake.set()
        return barrier.wait(timeout_s) if self.alive else barrier.is_set()

    def close(self, timeout_s: float) -> bool:
        """Flush; the thread ends when everything was delivered, which may be after this returns False."""
        done = self.flush(timeout_s)
        self._closing = True
        self._hurry.set()
        self._wake.set()
        return done

    def abandon(self) -> None:
        """Make no further attempts: the process ends."""
        self._abandoned = self._closing = True
        self._hurry.set()
        self._wake.set()

    def _run(self) -> None:
        while not (self._abandoned or (self._closing and not self._outbox)):
            self._wake.wait(self._heartbeat_s)
            self._wake.clear()
            self._ship()

    def _ship(self) -> None:
        events, barriers = self._outbox.take(BATCH_EVENTS)
        if events or time.monotonic() - self._asked_at >= self._heartbeat_s:
            self._deliver(events)
        _pass(barriers)
        if self._outbox:
            self._wake.set()
        if events and len(events) < BATCH_EVENTS and not self._closing:
            self._hurry.wait(COALESCE_S)
        self._hurry.clear()

    def _deliver(self, events: Sequence[JobEvent]) -> None:
        wait_s = FIRST_WAIT_S
        while not self._abandoned:
            try:
                ack = self._send(events)
            except InvalidInput as error:
                self._isolate(events, error)
                return
            except Exception as error:  # noqa: BLE001 - whatever stopped it, the events are not acknowledged yet
                if not events:
                    return  # a heartbeat is not worth repeating; the next one comes anyway
                _log.debug("report not delivered; it will be sent again", error=repr(error), events=len(events))
            else:
                self._asked_at = time.monotonic()
                self._heard(ack)
                return
            self._hurry.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            self._hurry.clear()
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _isolate(self, events: Sequence[JobEvent], error: InvalidInput) -> None:
        """Give up the one event that cannot be stored and deliver the others."""
        if len(events) > 1:
            middle = len(events) // 2
            self._deliver(events[:middle])
            self._deliver(events[middle:])
        elif events:
            _log.error("report refused", key=events[0].key, error=str(error))
            self._outbox.put_text(f"a report was refused ({events[0].kind.value}): {error}")


def _pass(barriers: Sequence[Barrier]) -> None:
    for barrier in barriers:
        barrier.set()
