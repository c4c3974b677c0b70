"""How long the steps of a rank take, as metrics: waiting for data, and the work itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from thornback.telemetry import catalogue

Batch = TypeVar("Batch")


def tell_step(*, kind: str, rank: int, data_s: float, work_s: float) -> None:
    """Count one step and its two parts."""
    tags = {"kind": kind, "rank": str(rank)}
    catalogue.STEPS.add(1, **tags)
    catalogue.STEP_SECONDS.add(data_s, part="data", **tags)
    catalogue.STEP_SECONDS.add(work_s, part="work", **tags)


def timed(
    batches: Iterable[Batch], *, kind: str, rank: int, clock: Callable[[], float] = time.perf_counter
) -> Iterator[Batch]:
    """The batches as they come; what the caller does with each counts as the work of one step.

    On a GPU the work of a step ends after it was handed over: single steps look short, their sum is true.
    """
    source = iter(batches)
    while True:
        asked = clock()
        try:
            batch = next(source)
        except StopIteration:
            return
        given = clock()
        yield batch
        tell_step(kind=kind, rank=rank, data_s=given - asked, work_s=clock() - given)
