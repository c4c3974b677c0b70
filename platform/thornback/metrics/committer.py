"""The writer's thread: gathers calls, commits them together, answers after the commit.

While one commit runs, everything that arrives gathers for the next. It knows no asyncio: callers get
`concurrent.futures.Future`s, which any thread and any event loop can wait for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from thornback.errors import InvalidInput, QuotaExceeded, StoreUnavailable, ThornbackError
from thornback.jobs.events import EventKind, JobEvent
from thornback.log import get_logger
from thornback.metrics.batcher import Batcher
from thornback.metrics.calls import (
    BatchedCall,
    Call,
    OperationCall,
    ReceiveCall,
    RecordCall,
    fail,
    missing,
    refusal,
)
from thornback.metrics.measured import measure
from thornback.metrics.port import Ack, Receipt, StreamEvent
from thornback.metrics.standing import Fence, Standing
from thornback.telemetry import catalogue

if TYPE_CHECKING:
    from thornback.store.write import Committed, StoreWriter

# A call is one unit of a commit; one that is larger than this would hold up everybody else.
MAX_CALL_EVENTS = 10_000

# Events that may wait, as a multiple of what one commit takes, before new bulk calls are refused.
MAX_WAITING_COMMITS = 100

# What an operation with a transaction of its own weighs, in events: a create costs about so many rows.
OPERATION_WEIGHT = 20

# Calls of nothing but these go ahead of the bulk of metrics and logs.
URGENT_KINDS = frozenset(
    {
        EventKind.CREATED,
        EventKind.PENDING,
        EventKind.SCHEDULED,
        EventKind.RETRIED,
        EventKind.CANCEL_REQUESTED,
        EventKind.PRIORITIZED,
        EventKind.ASKED,
    }
)

# How often a database that was away is looked for while nobody calls.
RETRY_S = 1.0

# How long health speaks of a commit that failed.
PROBLEM_S = 10.0

# A commit takes milliseconds; one that runs for so long is waiting for a lock or for a server.
HANGING_S = 5.0

_log = get_logger("committer")


class Committer:
    """One thread over one StoreWriter."""

    def __init__(
        self,
        writer: StoreWriter,
        standing: Standing,
        *,
        commit_rows: int,
        restart: Callable[[int], None],
        publish: Callable[[Sequence[StreamEvent]], None],
        storable: Callable[[JobEvent], object | None],
    ) -> None:
        """One thread over `writer`.

        Args:
            writer: used by this thread alone.
            standing: likewise.
            commit_rows: the most events of one commit.
            restart: told the database's newest id whenever that was in doubt.
            publish: told what was committed.
            storable: says None to an event that the writer drops because it cannot be stored.
        """
        self._writer = writer
        self._standing = standing
        self._restart = restart
        self._publish = publish
        self._storable = storable
        self._max_waiting = commit_rows * MAX_WAITING_COMMITS
        self._changed = threading.Condition()
        self._calls: Batcher[Call] = Batcher(commit_rows)
        self._closing = False
        # True until the newest id is known, and again after a commit that failed: it may have reached
        # the database although its answer did not reach us, and subscribers must not miss its events.
        self._in_doubt = True
        self._cursor = 0
        self._busy_since: float | None = None
        self._problem: tuple[float, str] | None = None
        self._waiting = 0
        self.commits = 0
        self.events = 0
        self.last_commit_ms = 0.0
        self._thread = threading.Thread(target=self._run, name="thornback-committer", daemon=True)

    @property
    def waiting(self) -> int:
        """Events and operations that were accepted and are not committed yet."""
        return self._waiting

    @property
    def problem(self) -> str | None:
        """Why the last commit failed or hangs, None after one that worked.

        Forgotten after a while: where nobody writes, nothing else would ever say that all is well again.
        """
        busy_s = self.busy_s
        if busy_s > HANGING_S:
            return f"a commit has been running for {busy_s:.0f} s"
        problem = self._problem
        return None if problem is None or time.monotonic() - problem[0] > PROBLEM_S else problem[1]

    @property
    def busy_s(self) -> float:
        """How long the present commit has been running, 0 between commits."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Commit what waits and end; what could not be committed in time is refused."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        with self._changed:
            while self._calls:
                fail(self._calls.take(), StoreUnavailable("the recorder was closed"))

    def record(self, call: RecordCall) -> Future[Ack]:
        """Put a call in line."""
        size = call.size
        if size > MAX_CALL_EVENTS:
            raise InvalidInput.field("events", f"{size} events in one call; send at most {MAX_CALL_EVENTS}")
        urgent = all(event.kind in URGENT_KINDS for event in call.events)  # a heartbeat too: it costs no row
        if not urgent and self._calls.weight > self._max_waiting:
            raise StoreUnavailable("too many events wait for the database; try again later")
        lane = call.speaker.job_id if call.speaker else (call.events[0].job_id if call.events else "")
        self._put(call, lane=lane, weight=max(size, 1), urgent=urgent)
        return call.future

    def receive(self, call: ReceiveCall) -> Future[Receipt]:
        """Put a delivery in line. It is urgent: whoever sent it waits, and most of them are one event."""
        if call.size > MAX_CALL_EVENTS:
            raise InvalidInput.field("events", f"{call.size} events in one call; send at most {MAX_CALL_EVENTS}")
        self._put(call, lane="", weight=call.weight, urgent=True)
        return call.future

    def operate(self, call: OperationCall) -> Future[Any]:
        """Put an operation in line."""
        self._put(call, lane="", weight=OPERATION_WEIGHT, urgent=True)
        return call.future

    def _put(self, call: Call, *, lane: str, weight: int, urgent: bool) -> None:
        with self._changed:
            if self._closing:
                raise StoreUnavailable("the recorder was closed")
            self._calls.put(call, lane=lane, weight=weight, urgent=urgent)
            self._waiting += call.size
            self._changed.notify()

    def _run(self) -> None:
        self._settle()
        while True:
            with self._changed:
                if not self._calls and not self._closing:
                    self._changed.wait(RETRY_S if self._in_doubt else None)
                batch = self._calls.take()
                if self._closing and not batch:
                    return
            if batch:
                self._work(batch)
            elif self._in_doubt:
                self._settle()  # subscribers wait for it even where nobody writes

    def _work(self, batch: Sequence[Call]) -> None:
        self._busy_since = time.monotonic()
        catalogue.COMMIT_WAITING.set(self._waiting)
        self._process([call for call in batch if call.future.set_running_or_notify_cancel()])
        self._busy_since = None
        with self._changed:
            self._waiting -= sum(call.size for call in batch)
        catalogue.COMMIT_WAITING.set(self._waiting)
        catalogue.COMMIT_LAG.observe(time.monotonic() - min(call.arrived for call in batch))

    def _settle(self) -> bool:
        """Learn the newest id in the database; False where it does not answer."""
        try:
            self._cursor = self._writer.latest_event_id()
        except Exception as error:  # noqa: BLE001 - whatever a database that is away or half set up raises: look again
            self._problem = (time.monotonic(), str(error) or repr(error))
            return False
        self._restart(self._cursor)
        self._in_doubt = False
        return True

    def _process(self, batch: Sequence[Call]) -> None:
        batched: list[BatchedCall] = []
        for call in batch:
            if isinstance(call, OperationCall):
                self._operate(call)
            else:
                batched.append(call)
        if batched:
            self._commit_all(batched)

    def _operate(self, call: OperationCall) -> None:
        try:
            self._ensure_settled()
            answer, committed = call.run()
            self._accept(committed)
            if call.forget:
                self._standing.forget(call.job_ids)
        except QuotaExceeded as error:
            call.future.set_exception(error)  # its transaction was undone, and nothing is in doubt
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to this caller; the loop goes on
            self._reject([call], error, call.job_ids)
        else:
            call.future.set_result(answer)

    def _commit_all(self, calls: list[BatchedCall]) -> None:
        records = [call for call in calls if isinstance(call, RecordCall)]
        deliveries = [call for call in calls if isinstance(call, ReceiveCall)]
        try:
            self._ensure_settled()
            admitted = self._admit(records)
            recorded, receipts = self._commit([event for events in admitted for event in events], deliveries)
            answers = self._answers(records, admitted, recorded)
        except Exception as error:  # noqa: BLE001 - a malformed event can break the writer in any way; see below
            self._find_the_bad(calls, error)
            return
        for record, answer in zip(records, answers, strict=True):
            if isinstance(answer, Ack):
                record.future.set_result(answer)
            else:
                record.future.set_exception(answer)
        for delivery, receipt in zip(deliveries, receipts, strict=True):
            delivery.future.set_result(receipt)

    def _find_the_bad(self, calls: list[BatchedCall], error: Exception) -> None:
        """One of these calls cannot be stored. Halve until it stands alone; the others go through."""
        first = calls[0]
        if isinstance(error, StoreUnavailable):
            self._reject(calls, error, {job_id for call in calls for job_id in call.job_ids})
        elif len(calls) > 1:
            self._in_doubt = True
            middle = len(calls) // 2
            self._commit_all(calls[:middle])
            self._commit_all(calls[middle:])
        elif isinstance(first, ReceiveCall) and first.arrival.delivery.problem is None:
            self._in_doubt = True
            _log.warning("delivery kept as a dead letter", error=repr(error), jobs=sorted(first.job_ids))
            first.give_up(f"it cannot be stored: {type(error).__name__}: {error}")
            self._commit_all(calls)
        else:
            self._reject(calls, error, first.job_ids)

    def _admit(self, calls: Sequence[RecordCall]) -> list[Sequence[JobEvent]]:
        fence = Fence(self._standing)
        return [fence.admit(call.events, call.speaker) for call in calls]

    def _commit(
        self, events: Sequence[JobEvent], deliveries: Sequence[ReceiveCall]
    ) -> tuple[Sequence[StreamEvent], Sequence[Receipt]]:
        """Which of `events` were new, and an answer for each delivery."""
        if not events and not deliveries:
            return (), ()
        started = time.perf_counter()
        committed = self._writer.commit(events, [call.arrival for call in deliveries])
        self.last_commit_ms = (time.perf_counter() - started) * 1000.0
        catalogue.COMMIT.observe(self.last_commit_ms / 1000.0)
        catalogue.COMMIT_EVENTS.observe(len(committed.events))
        self._accept(committed)
        return committed.events[: committed.direct], committed.receipts

    def _accept(self, committed: Committed | None) -> None:
        self.commits += 1
        self._problem = None
        if self._writer.found_id > self._cursor:
            # Somebody else wrote: the last commit of a predecessor that was killed but whose database
            # server finished it. Subscribers must not miss that.
            self._cursor = self._writer.found_id
            self._restart(self._cursor)
            self._standing.clear()
        if committed is None:
            return
        self.events += len(committed.events)
        self._standing.update(committed.jobs)
        measure(committed.events, committed.jobs)
        if committed.events:
            self._cursor = committed.events[-1].id
            self._publish(committed.events)

    def _answers(
        self,
        calls: Sequence[RecordCall],
        admitted: Sequence[Sequence[JobEvent]],
        committed: Sequence[StreamEvent],
    ) -> list[Ack | InvalidInput]:
        absent_ids = missing([event for events in admitted for event in events], committed)
        answers: list[Ack | InvalidInput] = []
        for call, events in zip(calls, admitted, strict=True):
            absent = [event for event in events if id(event) in absent_ids]
            # Absent are repeats, events of jobs that do not exist, and what the store cannot hold.
            bad = [event for event in absent if self._storable(event) is None]
            answers.append(refusal(bad) if bad else self._ack(call, len(events) - len(absent)))
        return answers

    def _ack(self, call: RecordCall, committed: int) -> Ack:
        superseded: frozenset[str] = frozenset()
        if call.speaker is not None and self._standing.is_superseded(call.speaker):
            superseded = frozenset({call.speaker.job_id})
        return Ack(
            committed=committed,
            cursor=self._cursor,
            cancel=self._standing.asked_to_stop(call.job_ids),
            superseded=superseded,
            asked={} if call.speaker is None else self._standing.asked(call.speaker),
        )

    def _ensure_settled(self) -> None:
        if self._in_doubt and not self._settle():
            raise StoreUnavailable(self.problem or "the database does not answer")

    def _reject(self, calls: Sequence[Call], error: Exception, job_ids: Any) -> None:
        self._in_doubt = True
        self._standing.forget(job_ids)
        if isinstance(error, ThornbackError):
            if isinstance(error, StoreUnavailable):
                self._problem = (time.monotonic(), str(error))
                catalogue.COMMIT_FAULTS.add()
            fail(calls, error)
            return
        _log.warning("call refused", error=repr(error), jobs=sorted(job_ids))
        fail(calls, InvalidInput(f"this cannot be stored: {type(error).__name__}: {error}"))
