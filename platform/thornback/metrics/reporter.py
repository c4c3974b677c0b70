"""What training code holds to say how it is doing.

No call waits for the platform: it notes what was said, with the time, and returns in microseconds; a
thread delivers. Values are converted with `float()` at the call. For a CUDA tensor that waits for the
GPU, so report what has been brought to the CPU already, or not at every step.

A reporter belongs to the process that opened it: it cannot be pickled, and in a forked child (a data
loader's worker) every call raises RuntimeError. Open another one there.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn, Protocol, SupportsFloat

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.status import FailureReason
from thornback.metrics import exits
from thornback.metrics.outbox import Outbox
from thornback.metrics.plain import plain
from thornback.metrics.port import Ack, Speaker
from thornback.metrics.shipper import Send, Shipper
from thornback.telemetry.stages import StageSpans

# A process that reports rarely still hears of a cancel within so many seconds. Ranks above 0 only print,
# and stop when rank 0 does, so they ask less often.
HEARTBEAT_S = 1.0
SILENT_RANK_HEARTBEAT_S = 5.0

DRIVER_RANK = -1


class Reporter(Protocol):
    """The story of one process of a run. Only the driver and rank 0 tell of the job; other ranks only log."""

    @property
    def attempt(self) -> Attempt:
        """Which run of the job speaks."""
        ...

    @property
    def should_stop(self) -> bool:
        """The job was cancelled or superseded: write a checkpoint if it is cancelled, and end."""
        ...

    @property
    def is_superseded(self) -> bool:
        """Another run has taken over, or the job is over: end and write nothing."""
        ...

    def asked(self) -> Mapping[str, datetime]:
        """When each `Wish` was asked for last, by the clock of who took it; those for an earlier run included."""
        ...

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        """One row for the charts: of a step, or of the epoch where `batch` is None.

        Values are numbers, or numpy and torch scalars; a non-finite one is kept as empty and said in the log.
        """
        ...

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        """How far the run is, 0 to 100."""
        ...

    def stage(self, name: str) -> None:
        """The run entered a stage."""
        ...

    def describe(self, **facts: Any) -> None:
        """Facts about the run, such as train_samples or class_names."""
        ...

    def artifact(
        self, *, name: str, type: str, uri: str, size_bytes: int | None = None, sha256: str | None = None
    ) -> None:
        """Something that can be downloaded."""
        ...

    def log(self, line: str) -> None:
        """A line (or several) for the job's log."""
        ...

    def started(self) -> None:
        """The driver runs."""
        ...

    def retried(self, attempt: Attempt, reason: FailureReason, message: str) -> None:
        """`attempt` begins, because the one before was lost; what follows belongs to it."""
        ...

    def parked(self) -> None:
        """This run ends here without an end of the job: another one begins when a person has approved."""
        ...

    def succeeded(self, summary: Mapping[str, Any] | None = None) -> None:
        """The end, with the run's own figures."""
        ...

    def failed(self, reason: FailureReason, message: str) -> None:
        """The end, with the true reason."""
        ...

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was said is committed; False where the time was too short."""
        ...

    def close(self, timeout_s: float = 10.0) -> bool:
        """Flush and end. What was not delivered in time is still tried for as long as the process lives."""
        ...


class NullReporter:
    """Where there is no platform: says nothing to nobody."""

    def __init__(self, attempt: Attempt | None = None) -> None:
        self._attempt = attempt or Attempt()

    @property
    def attempt(self) -> Attempt:
        """See Reporter."""
        return self._attempt

    @property
    def should_stop(self) -> bool:
        """Never."""
        return False

    @property
    def is_superseded(self) -> bool:
        """Never."""
        return False

    def asked(self) -> Mapping[str, datetime]:
        """Nothing."""
        return {}

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        """See Reporter."""

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        """See Reporter."""

    def stage(self, name: str) -> None:
        """See Reporter."""

    def describe(self, **facts: Any) -> None:
        """See Reporter."""

    def artifact(
        self, *, name: str, type: str, uri: str, size_bytes: int | None = None, sha256: str | None = None
    ) -> None:
        """See Reporter."""

    def log(self, line: str) -> None:
        """See Reporter."""

    def started(self) -> None:
        """See Reporter."""

    def retried(self, attempt: Attempt, reason: FailureReason, message: str) -> None:
        """See Reporter."""
        self._attempt = attempt

    def parked(self) -> None:
        """See Reporter."""

    def succeeded(self, summary: Mapping[str, Any] | None = None) -> None:
        """See Reporter."""

    def failed(self, reason: FailureReason, message: str) -> None:
        """See Reporter."""

    def flush(self, timeout_s: float) -> bool:
        """See Reporter."""
        return True

    def close(self, timeout_s: float = 10.0) -> bool:
        """See Reporter."""
        return True


class ActorReporter:
    """Delivers to a recorder, in order, until acknowledged."""

    def __init__(
        self, job_id: str, *, attempt: Attempt, rank: int, send: Send, stages: StageSpans | None = None
    ) -> None:
        """`send` delivers in the name of this job and attempt; `rank` -1 is the driver; `stages` is told of them."""
        self._stages = stages or StageSpans(None)
        self.job_id = job_id
        self.rank = rank
        # Two processes, or a process that was restarted, must not give two reports the same key.
        self._factory = EventFactory(job_id, voice=f"{rank}-{secrets.token_hex(4)}")
        self._outbox = Outbox(self._factory, attempt, rank=rank)
        self._seq = itertools.count()
        self._tells = rank <= 0
        self._pid = os.getpid()
        self._cancelled = False
        self._superseded = False
        self._asked: Mapping[str, datetime] = {}
        self._closed = False
        heartbeat_s = HEARTBEAT_S if self._tells else SILENT_RANK_HEARTBEAT_S
        self._shipper = Shipper(self._outbox, send, heartbeat_s=heartbeat_s, heard=self._hear)
        exits.flush_at_exit(self)

    @property
    def attempt(self) -> Attempt:
        """Which run of the job speaks."""
        return self._outbox.attempt

    @property
    def should_stop(self) -> bool:
        """See Reporter."""
        return self._cancelled or self._superseded

    @property
    def is_superseded(self) -> bool:
        """See Reporter."""
        return self._superseded

    def asked(self) -> Mapping[str, datetime]:
        """See Reporter."""
        return self._asked

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        """See Reporter."""
        numbers = {name: float(value) for name, value in values.items()}
        if self._may_tell():
            self._outbox.put_metrics({"epoch": epoch, "batch": batch, "phase": phase, "values": numbers})
            self._shipper.wake()

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        """See Reporter."""
        self._tell(
            self._factory.progress,
            attempt=self.attempt,
            seq=next(self._seq),
            percent=float(percent),
            epoch=int(epoch),
            total_epochs=int(total_epochs),
            eta_seconds=None if eta_seconds is None else float(eta_seconds),
        )

    def stage(self, name: str) -> None:
        """See Reporter."""
        # The driver and rank 0 both name stages; milliseconds order them without any talk between the two.
        index = time.time_ns() // 1_000_000
        self._stages.enter(name)
        self._tell(self._factory.stage, attempt=self.attempt, index=index, name=name)

    def describe(self, **facts: Any) -> None:
        """See Reporter."""
        self._tell(self._factory.described, attempt=self.attempt, facts=plain(facts), seq=next(self._seq))

    def artifact(
        self, *, name: str, type: str, uri: str, size_bytes: int | None = None, sha256: str | None = None
    ) -> None:
        """See Reporter."""
        self._tell(
            self._factory.artifact,
            attempt=self.attempt,
            name=name,
            type=type,
            uri=uri,
            size_bytes=size_bytes,
            sha256=sha256,
        )

    def log(self, line: str) -> None:
        """See Reporter."""
        if self._is_open():
            self._outbox.put_text(line)
            self._shipper.wake()

    def started(self) -> None:
        """See Reporter."""
        self._tell(self._factory.started, attempt=self.attempt)

    def retried(self, attempt: Attempt, reason: FailureReason, message: str) -> None:
        """See Reporter."""
        self._outbox.attempt = attempt
        self._tell(self._factory.retried, attempt=attempt, reason=reason, message=message)

    def parked(self) -> None:
        """See Reporter."""
        self._tell(self._factory.parked, attempt=self.attempt)

    def succeeded(self, summary: Mapping[str, Any] | None = None) -> None:
        """See Reporter."""
        self._tell(self._factory.succeeded, attempt=self.attempt, summary=plain(summary or {}))

    def failed(self, reason: FailureReason, message: str) -> None:
        """See Reporter."""
        self._tell(self._factory.failed, attempt=self.attempt, reason=reason, message=message)

    def flush(self, timeout_s: float) -> bool:
        """See Reporter."""
        self._check_process()
        return self._shipper.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """See Reporter."""
        self._check_process()
        self._closed = True
        self._stages.close()
        done = self._shipper.close(timeout_s)
        if done:
            exits.forget(self)
        return done

    def abandon(self) -> None:
        """Stop delivering: the process ends."""
        self._closed = True
        self._shipper.abandon()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Reporter belongs to its process and cannot be pickled; call open_reporter() in the other one"
        )

    def _tell(self, make: Callable[..., JobEvent], **arguments: Any) -> None:
        if self._may_tell():
            self._outbox.put(make, arguments)
            self._shipper.wake()

    def _may_tell(self) -> bool:
        return self._is_open() and self._tells

    def _is_open(self) -> bool:
        self._check_process()
        return not self._closed

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("a Reporter does not work in a forked process; call open_reporter() there")

    def _hear(self, ack: Ack) -> None:
        self._cancelled = self._cancelled or self.job_id in ack.cancel
        self._superseded = self._superseded or self.job_id in ack.superseded
        self._asked = {**self._asked, **ack.asked}


def open_reporter(job_id: str | None, *, attempt: Attempt, rank: int, namespace: str) -> Reporter:
    """A reporter to the metrics actor, or one that does nothing where `job_id` is None.

    Raises:
        Unavailable: there is no metrics actor in this namespace, or this process is not connected to Ray.
    """
    if job_id is None:
        return NullReporter(attempt)
    # Here and not above, so that a job file which runs alone needs no Ray.
    from thornback.metrics.sender import ActorSender
    from thornback.telemetry.process import begin_run

    parent = begin_run(job_id, attempt=attempt.number, rank=rank)  # whoever reports also measures
    speaker = Speaker(job_id=job_id, attempt=attempt, is_worker=rank >= 0)
    send = ActorSender(speaker, namespace=namespace)
    stages = StageSpans(parent, {"thornback.job_id": job_id, "thornback.rank": rank})
    return ActorReporter(job_id, attempt=attempt, rank=rank, send=send, stages=stages)
