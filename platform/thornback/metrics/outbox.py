"""What a process has to report and has not delivered yet.

The calls of training code only append here; the shipper's thread takes batches out and makes the events.
Appending to a deque needs no lock, so that a training step never waits for the shipper. Memory is bounded
where it can be: log lines drop the oldest and say how many; metrics, facts and the end are never dropped.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from thornback.jobs.events import Attempt, EventFactory, EventKind, JobEvent
from thornback.metrics.lines import MAX_LINE_CHARS, clean

# Lines and characters that may wait: hours of a usual training log.
MAX_WAITING_LINES = 10_000
MAX_WAITING_CHARS = 8_000_000

LINES_PER_EVENT = 200


class Barrier(threading.Event):
    """Stands in the queue; set by the shipper once everything before it was delivered."""


# When it was called, what makes the event (with `at`), its arguments.
Report = tuple[float, Callable[..., JobEvent], Mapping[str, Any]]


class Outbox:
    """Reports of one process in the order of its calls, and its log lines."""

    def __init__(self, factory: EventFactory, attempt: Attempt, *, rank: int) -> None:
        """`attempt` may be set anew when a restart begins; it goes into the log events made after that."""
        self.attempt = attempt
        self._factory = factory
        self._rank = rank
        self._reports: deque[Report | Barrier] = deque()
        # Re-entrant: a signal handler or a destructor may print while its own thread holds the lock.
        self._lines_lock = threading.RLock()
        self._lines: deque[tuple[float, str]] = deque()
        self._chars = 0
        self._dropped = 0
        self._log_seq = itertools.count()
        self._nonfinite: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._reports or self._lines)

    def put(self, make: Callable[..., JobEvent], arguments: Mapping[str, Any]) -> None:
        """Add a report: `make(at=…, **arguments)` is called later, in the shipper's thread."""
        self._reports.append((time.time(), make, arguments))

    def put_metrics(self, arguments: Mapping[str, Any]) -> None:
        """Add a row of metrics."""
        self._reports.append((time.time(), self._metrics, arguments))

    def put_barrier(self) -> Barrier:
        """A barrier behind everything reported so far."""
        barrier = Barrier()
        self._reports.append(barrier)
        return barrier

    def put_text(self, text: str) -> None:
        """Add log lines. Bounded: the oldest make room."""
        for line in text.splitlines() or [""]:
            dropped = max(len(line) - MAX_LINE_CHARS, 0)
            self._put_line(clean(line[:MAX_LINE_CHARS], dropped=dropped))

    def take(self, limit: int) -> tuple[list[JobEvent], list[Barrier]]:
        """Remove the next events, at most `limit`, and the barriers that stand directly behind them.

        Lines go before a barrier and before the end of the job: streams close at the end.
        """
        # A tenth of the batch is the lines' own, so that the log does not wait for a long row of metrics.
        events = self._take_lines(limit // 10)
        barriers: list[Barrier] = []
        while self._reports and len(events) < limit:
            head = self._reports[0]
            event = None if isinstance(head, Barrier) else self._make(head)
            if isinstance(head, Barrier) or (event is not None and event.kind.is_final):
                events += self._take_lines(limit - len(events))
                if self._lines or len(events) == limit:
                    return _newest_progress(events), barriers
            self._reports.popleft()
            if isinstance(head, Barrier):
                barriers.append(head)
            elif event is not None:
                events.append(event)
        events += self._take_lines(limit - len(events))
        return _newest_progress(events), barriers

    def _make(self, report: Report) -> JobEvent | None:
        at, make, arguments = report
        try:
            return make(at=datetime.fromtimestamp(at, UTC), **arguments)
        except Exception as error:  # noqa: BLE001 - one odd report must not end the delivery of all others
            self.put_text(f"a report could not be made: {error!r}")
            return None

    def _metrics(
        self, *, at: datetime, epoch: int, batch: int | None, phase: str, values: Mapping[str, float]
    ) -> JobEvent:
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        for name, value in finite.items():
            if value is None and name not in self._nonfinite:
                self._nonfinite.add(name)  # said once per metric, not once per step
                where = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
                self.put_text(f"{name} is {values[name]} in {phase}, {where}; it is kept as empty")
        return self._factory.metrics(epoch=epoch, batch=batch, phase=phase, values=finite, at=at)

    def _put_line(self, line: str) -> None:
        with self._lines_lock:
            self._lines.append((time.time(), line))
            self._chars += len(line)
            while len(self._lines) > MAX_WAITING_LINES or self._chars > MAX_WAITING_CHARS:
                _, oldest = self._lines.popleft()
                self._chars -= len(oldest)
                self._dropped += 1

    def _take_lines(self, max_events: int) -> list[JobEvent]:
        events: list[JobEvent] = []
        while self._lines and len(events) < max_events:
            with self._lines_lock:
                dropped, self._dropped = self._dropped, 0
                taken = [self._lines.popleft() for _ in range(min(len(self._lines), LINES_PER_EVENT))]
                self._chars -= sum(len(line) for _, line in taken)
            lines = [line for _, line in taken]
            if dropped:
                lines.insert(0, f"… {dropped} lines were dropped here: they came faster than the platform took them")
            at = datetime.fromtimestamp(taken[0][0], UTC)
            event = self._factory.log(self.attempt, rank=self._rank, seq=next(self._log_seq), lines=lines, at=at)
            events.append(event)
        return events


def _newest_progress(events: list[JobEvent]) -> list[JobEvent]:
    """Without the progress reports that a later one of the same batch makes pointless."""
    last = max((i for i, event in enumerate(events) if event.kind is EventKind.PROGRESS), default=-1)
    return [event for i, event in enumerate(events) if i == last or event.kind is not EventKind.PROGRESS]
