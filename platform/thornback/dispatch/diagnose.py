"""Finding the true reason in what a dead driver left behind. Pure.

A driver that can still speak reports its own failure. This is for the others: killed, crashed, or gone
with their machine. It reads the end of the driver's output, the exit code and the backend's words.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thornback.jobs.status import FailureReason

_MOST_CHARACTERS = 500
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# `(RayTrainWorker pid=12, ip=10.0.0.2) `, which Ray puts before lines of other processes
_RAY_PREFIX = re.compile(r"^\((?:[\w.:<>]+ )?(?:pid|ip)=[^)]*\)\s?")
# The last line of a traceback: `package.SomeError: text`, or an exception without a text.
_EXCEPTION = re.compile(
    r"^(?P<name>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Failed|Stopped)\b)(?P<text>:.*|)$"
)
# What Ray wraps around the exception that is of interest.
_WRAPPERS = ("RayTaskError", "TrainingFailedError", "WorkerGroupError", "ControllerError", "TuneError")
_WRAPPED = re.compile(r"ray\.exceptions\.RayTaskError\([\w.]+\)")

_OUT_OF_MEMORY = (
    re.compile(r"CUDA out of memory\..*"),
    re.compile(r"HIP out of memory\..*"),
    re.compile(r"CUDA error: out of memory.*"),
    re.compile(r"CUBLAS_STATUS_ALLOC_FAILED.*"),
    re.compile(r"DefaultCPUAllocator: can't allocate memory.*"),
    re.compile(r"Task was killed due to the node running low on memory.*"),
    re.compile(r"^MemoryError\b.*"),
)
_NODE_LOST = re.compile(
    r".*(?:node .{0,120}(?:has died|died|was terminated|is dead|was preempted|was marked dead)|NodeDiedError|"
    r"its node has died|missed too many heartbeats).*",
    re.IGNORECASE,
)
_WORKER_LOST = re.compile(
    r".*(?:worker (?:process )?(?:died|crashed|has died|exited) unexpectedly|WorkerCrashedError|ActorDiedError|"
    r"ActorUnavailableError|OwnerDiedError|ObjectLostError|actor died unexpectedly|The actor is dead because|"
    r"Worker unexpectedly exits).*",
    re.IGNORECASE,
)
_NOT_STARTED = re.compile(
    r".*(?:runtime_env setup failed|failed to start within|could not be scheduled|Failed to start supervisor).*"
)
_SIGNALS = {number.value: number.name for number in signal.Signals}
_KILLED = (signal.SIGKILL.value, signal.SIGTERM.value, signal.SIGHUP.value)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a run ended, as the job will show it."""

    reason: FailureReason
    message: str


def diagnose(log_tail: str, exit_code: int | None, backend_message: str) -> Diagnosis:
    """Find the reason why a driver ended without reporting one.

    Args:
        log_tail: the last lines that it printed; may be empty.
        exit_code: None where no process ended by itself; negative or above 128 for a signal.
        backend_message: what the backend says about the end.
    """
    lines = [*_clean(backend_message), *_clean(log_tail)]
    memory = _last(lines, _OUT_OF_MEMORY)
    if memory is not None:
        return Diagnosis(FailureReason.OUT_OF_MEMORY, memory)
    number = _signal(exit_code)
    if number is not None:
        return Diagnosis(FailureReason.DRIVER_LOST, _killed_by(number))
    if exit_code is None:
        return _without_exit_code(lines, backend_message)
    exception = _last_exception(lines)
    if exception is None or _is_wrapper(exception) or _WORKER_LOST.match(exception) or _NODE_LOST.match(exception):
        for pattern, reason in ((_NODE_LOST, FailureReason.NODE_LOST), (_WORKER_LOST, FailureReason.WORKER_LOST)):
            lost = _last(lines, (pattern,))
            if lost is not None:
                return Diagnosis(reason, lost)
    if exception is not None:
        return Diagnosis(FailureReason.EXCEPTION, exception)
    if exit_code == 0:
        return Diagnosis(FailureReason.DRIVER_LOST, "the driver ended with exit code 0 and without reporting a result")
    said = next((line for line in reversed(list(_clean(log_tail))) if line.strip()), None)
    last_words = f"; its last line: {_short(said)}" if said else " and printed nothing"
    return Diagnosis(FailureReason.EXIT_CODE, f"the driver ended with exit code {exit_code}{last_words}")


def _without_exit_code(lines: list[str], backend_message: str) -> Diagnosis:
    """No process ended by itself: the machine, the supervisor, or the start."""
    for pattern, reason in (
        (_NODE_LOST, FailureReason.NODE_LOST),
        (_NOT_STARTED, FailureReason.SUBMIT_FAILED),
    ):
        found = _last(lines, (pattern,))
        if found is not None:
            return Diagnosis(reason, found)
    said = _short(" ".join(backend_message.split()))
    told = f"; Ray says: {said}" if said else " and Ray has no record of how"
    return Diagnosis(FailureReason.DRIVER_LOST, f"the driver's Ray job vanished{told}")


def _clean(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield _RAY_PREFIX.sub("", _ANSI.sub("", line)).rstrip()


def _last(lines: Iterable[str], patterns: Iterable[re.Pattern[str]]) -> str | None:
    """The newest match of the first pattern that matches anything."""
    lines = list(lines)
    for pattern in patterns:
        for line in reversed(lines):
            found = pattern.search(line)
            if found:
                return _short(found.group(0).strip())
    return None


def _last_exception(lines: list[str]) -> str | None:
    """The last exception that is not only Ray's wrapping; a wrapper where there is nothing else."""
    wrapper = None
    for index in range(len(lines) - 1, -1, -1):
        line = _WRAPPED.sub("RayTaskError", lines[index].strip().strip("|").strip())
        if not _EXCEPTION.match(line):
            continue
        if _is_wrapper(line):
            wrapper = wrapper or _short(line)
        else:
            return _short(line)
    return wrapper


def _is_wrapper(exception: str) -> bool:
    return exception.split(":", 1)[0].rsplit(".", 1)[-1] in _WRAPPERS


def _signal(exit_code: int | None) -> int | None:
    """The signal that ended a process: Python says -9, a shell 137."""
    if exit_code is None:
        return None
    if exit_code < 0:
        return -exit_code
    return exit_code - 128 if exit_code > 128 and exit_code - 128 in _SIGNALS else None


def _killed_by(number: int) -> str:
    name = _SIGNALS.get(number, f"signal {number}")
    if number == signal.SIGKILL.value:
        return f"the driver was killed ({name}): by hand, or by the system because memory ran out"
    if number in _KILLED:
        return f"the driver was ended from outside ({name})"
    return f"the driver crashed ({name})"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
