from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.jobs.progress import Origin, Progress, ProgressTracker, Stage, by_time, overall_percent

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def training(seconds: float = 0.0) -> ProgressTracker:
    tracker = ProgressTracker()
    tracker.enter(Stage.TRAINING, after(seconds))
    return tracker


@pytest.mark.parametrize(
    ("percent", "overall"),
    [
        (31.0, 36.35),  # 10 + 0.85 * 31
        (15.0, 22.75),  # 150 of 1000 steps
        (0.0, 10.0),
        (100.0, 95.0),
        (140.0, 95.0),
        (-3.0, 10.0),
    ],
)
def test_what_is_read_is_ten_and_85_hundredths_of_it(percent: float, overall: float) -> None:
    assert overall_percent(percent) == overall


@pytest.mark.parametrize(
    ("seconds", "overall"),
    [
        (0.0, 5.0),
        (120.0, 14.0),  # 5 + 90 * 2 / 20
        (600.0, 50.0),
        (1200.0, 95.0),
        (90_000.0, 95.0),
        (-5.0, 5.0),
    ],
)
def test_by_time_alone(seconds: float, overall: float) -> None:
    assert by_time(seconds) == overall


def test_by_time_from_what_others_took() -> None:
    assert by_time(120.0, usual_seconds=600.0) == 23.0  # 5 + 90 * 120 / 600


def test_the_stages_of_a_whole_training() -> None:
    tracker = ProgressTracker()
    tracker.enter(Stage.STARTING, after(0))
    assert tracker.point(after(60)) == Progress(2.5, Stage.STARTING, Origin.ESTIMATED)
    assert tracker.point(after(900)).percent == 5.0
    tracker.enter(Stage.TRAINING, after(1000))
    assert tracker.point(after(1000)) == Progress(5.0, Stage.TRAINING, Origin.ESTIMATED)
    tracker.training(31.0, after(1060))
    assert tracker.point(after(1060)) == Progress(36.35, Stage.TRAINING, Origin.PARSED)
    tracker.training(100.0, after(1600))
    assert tracker.point(after(1600)).percent == 95.0
    tracker.enter(Stage.SAVING, after(1600))
    assert tracker.point(after(1660)) == Progress(97.45, Stage.SAVING, Origin.ESTIMATED)
    assert tracker.point(after(99_999)).percent == 99.9
    tracker.enter(Stage.SUCCEEDED, after(2000))
    assert tracker.point(after(2000)) == Progress(100.0, Stage.SUCCEEDED, Origin.REPORTED)


def test_time_alone_shows_fourteen_at_two_minutes_and_never_passes_95() -> None:
    tracker = training()
    assert tracker.point(after(120)) == Progress(14.0, Stage.TRAINING, Origin.ESTIMATED)
    assert tracker.point(after(86_400)).percent == 95.0


def test_a_bar_that_begins_again_takes_nothing_back() -> None:
    tracker = training()
    tracker.training(50.0, after(10))
    tracker.training(0.0, after(20))
    assert tracker.point(after(20)) == Progress(52.5, Stage.TRAINING, Origin.PARSED)


def test_a_log_that_shows_preparations_holds_time_back_to_where_steps_begin() -> None:
    tracker = training()
    tracker.preparing()
    assert tracker.point(after(600)).percent == 10.0
    tracker.training(31.0, after(610))
    assert tracker.point(after(610)).percent == 36.35


def test_an_estimate_that_ran_ahead_goes_on_at_half_the_pace_until_what_is_read_has_caught_up() -> None:
    tracker = training()
    assert tracker.point(after(300)).percent == 27.5  # 5 + 90 * 5 / 20
    tracker.training(0.0, after(301))
    assert tracker.point(after(301)) == Progress(27.5, Stage.TRAINING, Origin.ESTIMATED)
    tracker.training(20.0, after(400))  # read 27, which is 17 more than the first
    assert tracker.point(after(400)) == Progress(36.0, Stage.TRAINING, Origin.ESTIMATED)
    tracker.training(50.0, after(500))  # read 52.5; half the pace would be 27.5 + 42.5 / 2 = 48.75
    assert tracker.point(after(500)) == Progress(52.5, Stage.TRAINING, Origin.PARSED)


def test_time_does_not_move_what_was_read() -> None:
    tracker = training()
    tracker.training(10.0, after(5))
    assert tracker.point(after(50_000)).percent == 18.5


def test_an_earlier_stage_that_arrives_late_is_ignored() -> None:
    tracker = training()
    tracker.enter(Stage.SAVING, after(10))
    tracker.enter(Stage.STARTING, after(11))
    assert tracker.point(after(12)).stage is Stage.SAVING


def test_after_a_restart_it_goes_on_from_what_was_recorded() -> None:
    tracker = ProgressTracker()
    tracker.resume(61.0, Stage.TRAINING, after(0), Origin.PARSED)
    tracker.training(20.0, after(1))  # the log is read again from its beginning
    assert tracker.point(after(1)).percent == 61.0
    tracker.training(70.0, after(2))
    assert tracker.point(after(2)) == Progress(69.5, Stage.TRAINING, Origin.PARSED)


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from([Stage.STARTING, Stage.TRAINING, Stage.SAVING])),
        st.tuples(st.just("training"), st.floats(-10, 200)),
        st.tuples(st.just("preparing"), st.none()),
        st.tuples(st.just("wait"), st.none()),
    ),
    max_size=40,
)


@given(MOVES, st.lists(st.floats(0, 2000), min_size=40, max_size=40))
def test_whatever_happens_it_never_goes_back_and_is_never_100_before_success(
    moves: list[tuple[str, Stage | float | None]], waits: list[float]
) -> None:
    tracker, seconds, shown = ProgressTracker(), 0.0, [0.0]
    for (kind, value), wait in zip(moves, waits, strict=False):
        seconds += wait
        if kind == "enter" and isinstance(value, Stage):
            tracker.enter(value, after(seconds))
        elif kind == "training" and isinstance(value, float):
            tracker.training(value, after(seconds))
        elif kind == "preparing":
            tracker.preparing()
        shown.append(tracker.point(after(seconds)).percent)
    assert shown == sorted(shown)
    assert shown[-1] < 100.0
