"""When a lost stream is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thornback.client import Backoff


def test_the_ceiling_doubles_up_to_the_longest() -> None:
    backoff = Backoff(first_s=0.5, longest_s=10.0)
    # 0.5 · 2ⁿ: 0.5, 1, 2, 4, 8, then 16 is capped
    assert [backoff.delay(attempt, lambda _low, high: high) for attempt in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]


def test_jitter_goes_down_to_the_floor() -> None:
    assert Backoff(floor_s=0.05).delay(3, lambda low, _high: low) == 0.05


@given(st.integers(min_value=0, max_value=10**9))
def test_any_number_of_tries_stays_in_bounds(attempt: int) -> None:
    backoff = Backoff()
    assert backoff.floor_s <= backoff.delay(attempt) <= backoff.longest_s
