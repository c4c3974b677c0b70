"""What came of a storm, in figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.faults.history import Verdict
from tests.faults.killer import Killer, Loss
from thornback.store.read import StoreReader

_AFTER = ("retried", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """All of one."""

    verdict: Verdict
    killer: Killer
    notices_s: list[float]  # from the death of a driver until its job's history tells of it
    repeats: int
    seconds: float

    def report(self) -> dict[str, Any]:
        """JSON-ready."""
        verdict, killer = self.verdict, self.killer
        return {
            **{name: len(found) if isinstance(found, list) else found for name, found in vars(verdict).items()},
            "faults": (killer.killed + killer.stopped).total(),
            "killed": dict(killer.killed),
            "stopped": dict(killer.stopped),
            "drivers_lost": len(killer.losses),
            "slowest_notice_s": round(max(self.notices_s, default=0.0), 1),
            "slowest_recovery_s": round(max(killer.recoveries_s, default=0.0), 1),
            "calls_repeated_by_clients": self.repeats,
            "seconds": round(self.seconds),
            "findings": verdict.findings,
        }


def notices_s(losses: Iterable[Loss], reader: StoreReader) -> Iterator[float]:
    """How long each loss stayed unnoticed; one of a job that had ended, or is deleted, needs no notice."""
    for loss in losses:
        events = reader.events(0, job_id=loss.job_id, limit=10_000)
        told = [event.at for event in events if event.kind.value in _AFTER and event.at >= loss.at]
        if told:
            yield (told[0] - loss.at).total_seconds()
