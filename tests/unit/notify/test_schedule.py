"""The pauses between attempts, and what a receiver may ask for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.notify import START as NOW
from thornback.notify.schedule import JITTER, LONGEST_HOLD, PAUSES, next_attempt, read_retry_after


def test_pauses_grow_and_make_up_a_day() -> None:
    assert list(PAUSES) == sorted(set(PAUSES))
    # 5 s + 1 + 5 + 30 + 60 + 120 + 240 + 360 + 600 min = 5 s + 1416 min
    assert sum(PAUSES, timedelta()) == timedelta(hours=23, minutes=36, seconds=5)


@given(failures=st.integers(1, 30), chance=st.floats(0, 1))
def test_a_pause_is_never_shorter_and_a_fifth_longer_at_most(failures: int, chance: float) -> None:
    due = next_attempt(failures, NOW, chance=chance)
    if failures > len(PAUSES):
        assert due is None
        return
    assert due is not None
    assert PAUSES[failures - 1] <= due - NOW <= PAUSES[failures - 1] * (1 + JITTER)


def test_a_receiver_that_wants_rest_gets_it() -> None:
    rest = NOW + timedelta(minutes=10)
    assert next_attempt(1, NOW, chance=0.0, not_before=rest) == rest
    assert next_attempt(4, NOW, chance=0.0, not_before=rest) == NOW + timedelta(minutes=30)
    assert next_attempt(len(PAUSES) + 1, NOW, chance=0.0, not_before=rest) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9999999999999", LONGEST_HOLD.total_seconds()),
        ("86400", LONGEST_HOLD.total_seconds()),
        ("Sun, 01 Mar 2026 12:05:00 GMT", 300),
        ("Wed, 01 Mar 2028 12:05:00 GMT", LONGEST_HOLD.total_seconds()),
        ("Sun, 01 Mar 2026 11:00:00 GMT", None),  # it is over
        ("Sun, 01 Mar 2026 12:05:00 -0000", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert read_retry_after(text, NOW) == expected
