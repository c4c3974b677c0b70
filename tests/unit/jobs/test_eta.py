from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.jobs.eta import Estimate, Eta, from_history
from thornback.jobs.progress import Origin

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    assert estimate.low <= estimate.seconds <= estimate.high
    return estimate


def run(
    steps: int, total: int, *, pace: float = 2.0, pause_every: int = 0, pause: float = 0.0, seen_every: int = 1
) -> tuple[Eta, float]:
    """An Eta that saw the first `steps`, and the seconds that they took."""
    eta, seconds = Eta(total), 0.0
    eta.add(0, after(0))
    for step in range(1, steps + 1):
        seconds += pace
        if step % seen_every == 0:
            eta.add(step, after(seconds))
        if pause_every and step % pause_every == 0:
            seconds += pause
    return eta, seconds


def test_a_steady_pace() -> None:
    eta, seconds = run(100, 1000)
    assert known(eta.estimate(after(seconds))).seconds == 1800.0  # 900 steps of 2 s


def test_one_pause_for_samples_does_not_ruin_it() -> None:
    eta = Eta(1000)
    for step in range(101):
        eta.add(step, after(2.0 * step))
    for step in range(101, 110):  # 300 s for samples at step 100
        eta.add(step, after(2.0 * step + 300.0))
    left = known(eta.estimate(after(2.0 * 109 + 300.0)))
    assert 1782.0 <= left.seconds <= 1782.0 + 300.0 * 8 / 2  # 891 steps of 2 s, and half of the pauses that may come
    assert left.origin is Origin.PARSED


def test_pauses_that_come_again_are_part_of_what_is_left() -> None:
    eta, seconds = run(260, 1000, pause_every=50, pause=60.0)
    left = known(eta.estimate(after(seconds)))
    # 740 steps of 2 s; pauses after 300, 350, …, 950: 14, the one after the last step is no longer waited for
    assert left.seconds == pytest.approx(740 * 2.0 + 14 * 60.0, rel=0.05)


def test_in_a_pause_the_time_left_still_falls() -> None:
    eta, seconds = run(250, 1000, pause_every=50, pause=60.0)
    before_pause = seconds - 60.0
    left = [known(eta.estimate(after(before_pause + waited))).seconds for waited in (0.0, 20.0, 40.0, 60.0)]
    assert left == sorted(left, reverse=True)
    assert left[0] - left[-1] == pytest.approx(60.0)


def test_silence_beyond_every_pause_widens_the_range_only() -> None:
    eta, seconds = run(100, 1000)
    soon, late = known(eta.estimate(after(seconds + 10))), known(eta.estimate(after(seconds + 1000)))
    assert late.seconds == soon.seconds
    assert late.high > soon.high + 900


def test_polls_that_see_many_steps_at_once() -> None:
    eta, seconds = run(300, 1000, seen_every=25)
    assert known(eta.estimate(after(seconds))).seconds == pytest.approx(1400.0)


def test_a_slow_start_is_forgotten() -> None:
    eta, seconds = Eta(2000), 0.0
    for step in range(501):
        eta.add(step, after(seconds))
        seconds += 30.0 if step < 5 else 1.0
    assert known(eta.estimate(after(seconds - 1))).seconds == pytest.approx(1500.0, rel=0.02)


def test_steps_that_arrive_twice_or_late_change_nothing() -> None:
    eta, seconds = run(100, 1000)
    expected = eta.estimate(after(seconds))
    eta.add(100, after(seconds))
    eta.add(40, after(seconds))
    eta.add(101, after(seconds - 50))
    assert eta.estimate(after(seconds)) == expected


def test_a_log_that_arrives_whole_says_nothing_of_time() -> None:
    eta = Eta(1000)
    for step in range(500):
        eta.add(step, after(3.0))
    assert eta.estimate(after(3.0)) is None


def test_without_a_total_or_a_pace_there_is_no_estimate() -> None:
    assert Eta().estimate(BEGIN) is None
    eta = Eta()
    for step in range(10):
        eta.add(step, after(step))
    assert eta.estimate(after(9)) is None
    eta.add(10, after(10), total=20)
    assert known(eta.estimate(after(10))).seconds == 10.0


def test_at_the_last_step_nothing_is_left() -> None:
    eta, seconds = run(100, 100)
    assert known(eta.estimate(after(seconds))).seconds == 0.0


def test_history_of_the_same_steps_counts_before_scaled_ones() -> None:
    history = [(1000, 1200.0), (1000, 1000.0), (1000, 1400.0), (500, 9000.0)]
    estimate = known(from_history(history, 1000))
    assert (estimate.seconds, estimate.origin) == (1200.0, Origin.ESTIMATED)
    assert estimate.low == pytest.approx(853.6)  # 1200 * (1 - 0.5 / √3)
    assert estimate.high == pytest.approx(1546.4)
    assert known(from_history([(500, 600.0)], 1000)).seconds == 1200.0
    assert known(from_history(history, 1000, elapsed=200.0)).seconds == 1000.0
    assert from_history([], 1000) is None
    assert from_history([(0, 10.0), (10, 0.0)], 1000) is None


@given(st.lists(st.tuples(st.integers(0, 2000), st.floats(-5, 500)), max_size=60), st.floats(0, 10_000))
def test_whatever_is_seen_the_range_holds_the_estimate(seen: list[tuple[int, float]], wait: float) -> None:
    eta, at = Eta(1500), 0.0
    for step, seconds in seen:
        at += seconds
        eta.add(step, after(at))
    estimate = eta.estimate(after(at + wait))
    if estimate is not None:
        assert 0.0 <= estimate.low <= estimate.seconds <= estimate.high


def test_a_log_that_comes_in_pieces_of_several_redraws() -> None:
    eta = Eta(1000)
    for piece in range(1, 11):  # ten redraws of five steps each in every piece, a piece each second
        for redraw in range(1, 11):
            eta.add((piece - 1) * 50 + redraw * 5, after(piece))
    assert known(eta.estimate(after(10))).seconds == 10.0
