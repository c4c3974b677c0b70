from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pytest

from tests.unit.dispatch.make import NOW, minutes_ago, running, waiting
from thornback.backends.port import Resources
from thornback.dispatch.order import Running, Waiting, in_order, share

TOTAL = Resources(8.0, 4.0)


def names(
    jobs: Sequence[Waiting], *, busy: Sequence[Running] = (), granted: Mapping[str, datetime] | None = None
) -> list[str]:
    return [job.job_id for job in in_order(jobs, busy, now=NOW, total=TOTAL, granted=granted or {})]


def test_priority_comes_before_age() -> None:
    assert names([waiting("old", age=9), waiting("urgent", age=1, priority=5)]) == ["urgent", "old"]


def test_a_users_jobs_go_by_age_and_then_by_id() -> None:
    assert names([waiting("b", age=1), waiting("c", age=2), waiting("a", age=1)]) == ["c", "a", "b"]


def test_the_user_who_holds_less_comes_first() -> None:
    jobs = [waiting("old", user="grace", age=9), waiting("new", user="ada", age=1)]
    assert names(jobs, busy=[running("x", user="grace")]) == ["new", "old"]


def test_a_gpu_is_a_larger_share_than_a_cpu() -> None:
    busy = [running("x", user="grace", gpus=1.0), running("y", user="ada", workers=1, cpus=1.0)]
    jobs = [waiting("grace's", user="grace", age=9), waiting("ada's", user="ada", age=1)]
    # ada: 1 of 8 CPUs; grace: 1 of 4 GPUs
    assert names(jobs, busy=busy) == ["ada's", "grace's"]


def test_each_place_counts_for_the_next_so_users_take_turns() -> None:
    jobs = [waiting(f"grace {n}", user="grace", age=9 - n) for n in range(3)]
    jobs += [waiting(f"ada {n}", user="ada", age=2 - n / 10) for n in range(2)]
    assert names(jobs) == ["grace 0", "ada 0", "grace 1", "ada 1", "grace 2"]


def test_between_equal_shares_the_one_who_was_served_longest_ago_comes_first() -> None:
    # Nothing runs. grace's job is older, but one of hers was started a minute ago.
    jobs = [waiting("grace's", user="grace", age=30), waiting("ada's", user="ada", age=5)]
    assert names(jobs, granted={"grace": minutes_ago(1)}) == ["ada's", "grace's"]
    assert names(jobs, granted={"grace": minutes_ago(20)}) == ["grace's", "ada's"]


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        (Resources(2.0, 0.0), 0.25),  # 2 of 8 CPUs
        (Resources(2.0, 2.0), 0.5),  # 2 of 4 GPUs
        (Resources(0.0, 0.0), 0.0),
    ],
)
def test_the_share_is_that_of_the_scarcer_resource(uses: Resources, expected: float) -> None:
    assert share(uses, TOTAL) == expected


def test_a_resource_that_nobody_has_counts_for_nothing() -> None:
    assert share(Resources(1.0, 1.0), Resources(4.0, 0.0)) == 0.25
