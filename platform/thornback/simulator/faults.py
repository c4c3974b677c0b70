"""Faults on demand: what goes wrong, with which calls, and how often."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

CREATES = "*.create"
"""The calls that take an order, so those that cost money; no other operation is named so."""

REQUEST_FAULTS: Mapping[str, str] = {
    "drop": "the connection breaks before the call is taken",
    "lost_answer": "the call is taken, then the connection breaks",
    "delay": "the call is taken `seconds` later (real ones)",
    "slow_answer": "the call is taken at once and answered `seconds` later (real ones)",
    "throttle": "429, with Retry-After where `retry_after` is given",
    "low_credit": "Replicate's limit for accounts with little credit: 1 create at once, 6 in a minute",
    "error": "`status`, 500 unless given, with a page of text",
    "not_found": "404, as if there were no such thing",
    "invalid_json": "the call is taken, and the answer is cut off in the middle",
}
WEBHOOK_FAULTS: Mapping[str, str] = {
    "webhook_drop": "never sent, and not tried again",
    "webhook_duplicate": "sent twice with the same id",
    "webhook_reorder": "sent after the one that follows it",
    "webhook_early": "the first webhook comes before the answer to the create call",
    "webhook_bad_signature": "signed with another key",
    "webhook_tampered": "the body is altered after it was signed",
    "webhook_stale": "signed ten minutes ago",
    "webhook_unsigned": "sent without signature headers",
}
ORDER_FAULTS: Mapping[str, str] = {
    "aborted": "ends before it begins: Replicate's status `aborted`",
    "fail": "fails half way",
    "stuck": "stays in `starting` for ever",
    "vanish": "as stuck, and half an hour later nobody knows it any more: 404",
    "succeed_then_fail": "trains to the end and fails as it is saved",
    "expired_output": "succeeds, and its output files are gone at once",
    "data_removed": "succeeds, and its output is removed at once",
    "control_characters": "raw ESC and CR stand in the JSON of its logs",
    "payload_error": "fal: the webhook cannot carry the result",
    "requeued": "fal: queued again by the gateway, so its ids differ",
    "unavailable": "fal: ends with a typed 503, runner_scheduling_failure",
}
_PLACES = {**dict.fromkeys(REQUEST_FAULTS, CREATES), **dict.fromkeys(WEBHOOK_FAULTS, "webhook.*")}
_HABITS: Mapping[str, Mapping[str, Any]] = {"low_credit": {"times": None}}  # a state, not an event
KINDS: Mapping[str, str] = {**REQUEST_FAULTS, **WEBHOOK_FAULTS, **ORDER_FAULTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that will go wrong.

    `on` is a pattern over names of calls: `replicate.trainings.create`, `fal.requests.status`,
    `*.output.download`, … (GET /simulator/faults lists them), or of webhooks: `webhook.start`,
    `webhook.logs`, `webhook.output`, `webhook.completed`. Each call suffers one fault at most, the one
    that was ordered first; an order suffers all that are ordered for it.
    """

    kind: str
    on: str
    times: int | None = 1  # the next so many matching calls; None: until it is removed
    skip: int = 0  # so many matching calls go well before
    seconds: float = 1.0
    status: int = 500
    retry_after: int | None = None


class Faults:
    """Those that are still to come; safe to use from any thread."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, kind: str, on: str | None = None, **options: Any) -> Fault:
        """Order one. Raises ValueError for an unknown kind or option."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
        try:
            fault = Fault(kind=kind, on=on or _PLACES.get(kind, CREATES), **{**_HABITS.get(kind, {}), **options})
        except TypeError as error:
            raise ValueError(str(error)) from None
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Nothing goes wrong from now on."""
        with self._lock:
            self._faults.clear()

    def pending(self) -> list[dict[str, Any]]:
        """Those to come, ready for JSON."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, operation: str, kinds: Mapping[str, str]) -> Fault | None:
        """The first of these kinds that befalls this call, which uses it up."""
        return next(iter(self._take(operation, kinds, most=1)), None)

    def take_all(self, operation: str, kinds: Mapping[str, str]) -> frozenset[str]:
        """The names of all of these kinds that befall this call."""
        return frozenset(fault.kind for fault in self._take(operation, kinds, most=len(self.pending())))

    def _take(self, operation: str, kinds: Mapping[str, str], *, most: int) -> list[Fault]:
        taken: list[Fault] = []
        left: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                if len(taken) == most or fault.kind not in kinds or not fnmatchcase(operation, fault.on):
                    left.append(fault)
                elif fault.skip:
                    left.append(replace(fault, skip=fault.skip - 1))
                else:
                    taken.append(fault)
                    left.extend(_rest(fault))
            self._faults = left
        return taken


def _rest(fault: Fault) -> list[Fault]:
    """What is left of a fault that has happened once more."""
    if fault.times is None:
        return [fault]
    return [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
