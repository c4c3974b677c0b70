"""Steps as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.telemetry.taken import Taken
from thornback.telemetry import catalogue
from thornback.telemetry.metric import tell
from train_jobs.common.step_times import timed


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_waiting_and_work_of_each_step() -> None:
    clock, taken = Clock(), Taken()

    def load() -> Iterator[int]:
        for batch in range(3):
            clock.at += 2.0
            yield batch

    before = tell(taken)
    try:
        seen = []
        for batch in timed(load(), kind="lora", rank=1, clock=clock):
            clock.at += 5.0
            seen.append(batch)
    finally:
        tell(before)
    assert seen == [0, 1, 2]
    assert taken.count(catalogue.STEPS, kind="lora", rank="1") == 3
    # 3 x 2 s of loading, 3 x 5 s of work
    assert taken.count(catalogue.STEP_SECONDS, kind="lora", rank="1", part="data") == 6.0
    assert taken.count(catalogue.STEP_SECONDS, kind="lora", rank="1", part="work") == 15.0
