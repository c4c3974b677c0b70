"""Why did `fit()` raise? Decides what a failed run is called and whether trying again can help.

It reads exceptions and knows nothing of Ray beyond their names, so it can be tested without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thornback.errors import DataError, ThornbackError, TrainingFailed, WeightsUnavailable
from thornback.jobs.status import FailureReason

_MOST_CHARACTERS = 2000

_OUT_OF_MEMORY = re.compile(
    r"(CUDA|HIP) out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|can't allocate memory"
    r"|node running low on memory|memory usage threshold|OutOfMemoryError"
)
_NODE_LOST = re.compile(
    r"node (was|is|has|it ran on)[^.]{0,80}(died|dead|terminated|preempted|drained)|node failure", re.I
)
_PREEMPTED = re.compile(r"preempt", re.I)
# What the other workers of a group see when one of them is gone.
_PEER_LOST = re.compile(
    r"Connection (closed by peer|reset by peer|refused)|Broken pipe|Read timeout|gloo[^\n]*(closed|timeout|timed out)"
    r"|NCCL[^\n]*(remote process exited|unhandled system error|timeout|aborted)|ncclRemoteError"
    r"|Socket closed|store[^\n]*(closed|reset)|failed to recv",
    re.I,
)
# Ray's own exceptions for a process or machine that went away.
_LOST_KINDS = (
    "RayActorError",
    "ActorDiedError",
    "ActorUnavailableError",
    "WorkerCrashedError",
    "OwnerDiedError",
    "NodeDiedError",
    "WorkerHealthCheckTimeoutError",
    "WorkerHealthCheckFailedError",
    "PreemptionError",
)
# Workers that never began.
_START_KINDS = ("WorkerGroupStartupFailedError", "WorkerGroupStartupTimeoutError")


@dataclass(frozen=True, slots=True)
class Failure:
    """What a run is failed with, or retried because of."""

    reason: FailureReason
    message: str

    @property
    def is_retryable(self) -> bool:
        """True where the last checkpoint can be taken up again."""
        return self.reason.is_retryable


def classify(error: BaseException) -> Failure:
    """The true reason behind an exception of `fit()` or of the driver itself.

    Where workers disagree: our own errors first, then memory, then a lost process or machine, because
    whoever talked to it then fails as well, then any other exception.
    """
    found = list(causes(error))
    for cause in found:
        if isinstance(cause, ThornbackError):
            return Failure(_reason_of(cause), cause.message)
    for cause in found:
        if isinstance(cause, MemoryError) or _OUT_OF_MEMORY.search(_text(cause)):
            return Failure(FailureReason.OUT_OF_MEMORY, _text(cause))
    for cause in found:
        if _is_one_of(cause, _START_KINDS):
            return Failure(FailureReason.SUBMIT_FAILED, _text(cause))
    lost = [cause for cause in found if _is_one_of(cause, _LOST_KINDS)]
    for cause in lost:
        if _NODE_LOST.search(_text(cause)) or _PREEMPTED.search(type(cause).__name__):
            return Failure(FailureReason.NODE_LOST, _text(cause))
    if lost:
        return Failure(FailureReason.WORKER_LOST, _text(lost[0]))
    own = [cause for cause in found if not _PEER_LOST.search(_text(cause))]
    if own:
        return Failure(FailureReason.EXCEPTION, _named(own[0]))
    return Failure(FailureReason.WORKER_LOST, f"a worker lost its connection to another: {_text(found[0])}")


def _reason_of(error: ThornbackError) -> FailureReason:
    if isinstance(error, DataError):
        return FailureReason.INVALID_DATA
    if isinstance(error, WeightsUnavailable):
        return FailureReason.WEIGHTS_UNAVAILABLE
    if isinstance(error, TrainingFailed):
        return FailureReason(error.details.get("reason", FailureReason.EXCEPTION.value))
    return FailureReason.EXCEPTION


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside Ray Train's: one of each worker, the controller's, what was raised in a task."""
    workers: Mapping[int, Any] | None = getattr(error, "worker_failures", None)
    if workers:
        for _, failure in sorted(workers.items()):
            yield from causes(failure)
        return
    for name in ("controller_failure", "health_check_failure", "_base_exc", "cause"):
        inner = getattr(error, name, None)
        if isinstance(inner, BaseException) and inner is not error:
            yield from causes(inner)
            return
    yield error


def _is_one_of(error: BaseException, names: Sequence[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _text(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _named(error: BaseException) -> str:
    text = _text(error)
    return text if text == type(error).__name__ else f"{type(error).__name__}: {text}"
