"""How far a sweep is, and what it has come to, from its trials. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.jobs.sweep import FACT_RESULT, FACT_TRIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Of one moment. A trial that went on from another's checkpoint has several jobs; its newest one counts."""

    planned: int
    made: int
    running: int  # with those that wait in the queue
    completed: int
    stopped: int  # ended early, or cancelled
    failed: int  # with those whose values did not go together
    best: JobState | None

    @property
    def ended(self) -> int:
        """Trials that are over."""
        return self.completed + self.stopped + self.failed

    def facts(self, ended_by: str | None) -> dict[str, Any]:
        """For the sweep's fact: counts, `ended_by` (null while it goes on, or where all trials were made), the best."""
        about, result = _about(self.best), _result(self.best)
        return {
            "trials": self.planned,
            "made": self.made,
            "running": self.running,
            "completed": self.completed,
            "stopped": self.stopped,
            "failed": self.failed,
            "ended_by": ended_by,
            "best_trial": about.get("number"),
            "best_job": None if self.best is None else self.best.id,
            "best_value": result.get("value"),
            "best_parameters": about.get("parameters"),
        }


def tally(jobs: Sequence[JobState], *, planned: int, refused: int, mode: str) -> Tally:
    """Count the trials' newest jobs; `refused`: trials that have none because their values did not go together."""
    counts = Counter(job.status for job in jobs)
    measured = [job for job in jobs if isinstance(_result(job).get("value"), int | float)]
    sign = 1.0 if mode == "min" else -1.0
    return Tally(
        planned=planned,
        made=len(jobs) + refused,
        running=sum(count for status, count in counts.items() if not status.is_final),
        completed=counts[JobStatus.COMPLETED],
        stopped=counts[JobStatus.CANCELLED],
        failed=counts[JobStatus.FAILED] + refused,
        best=min(measured, key=lambda job: (sign * _result(job)["value"], _about(job).get("number", 0)), default=None),
    )


def percent(done: Tally, running: Mapping[str, float]) -> float:
    """0 to 100 of all planned trials; `running`: percent of each trial that runs. Ended ones count as whole."""
    share = done.ended + sum(running.values()) / 100.0
    return min(100.0, 100.0 * share / max(1, done.planned))


def seconds_left(share: float, elapsed_s: float, until_s: float | None) -> float | None:
    """From the pace so far, and no more than what is left of the hours; None while nothing can be said."""
    guessed = elapsed_s * (1.0 - share) / share if share > 0.02 else None
    told = [left for left in (guessed, until_s) if left is not None]
    return min(told, default=None) if guessed is not None else None


def _about(job: JobState | None) -> Mapping[str, Any]:
    found = None if job is None else job.fact(FACT_TRIAL)
    return found if isinstance(found, dict) else {}


def _result(job: JobState | None) -> Mapping[str, Any]:
    found = None if job is None else job.fact(FACT_RESULT)
    return found if isinstance(found, dict) else {}
