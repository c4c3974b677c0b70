from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.jobs.video_stages import IN_ORDER, StageClock, Took, VideoStage, overall_percent, usual_seconds


def test_the_marks_are_those_of_the_source() -> None:
    marks = sorted({mark for stage in IN_ORDER for mark in (stage.begins_at, stage.ends_at)})
    assert marks == [0, 10, 20, 35, 50, 60, 85, 95, 100]
    assert all(stage.ends_at == later.begins_at for stage, later in pairwise(IN_ORDER))


@given(st.lists(st.tuples(st.sampled_from(IN_ORDER), st.floats(allow_nan=False, allow_infinity=False)), max_size=20))
def test_later_is_never_less(points: list[tuple[VideoStage, float]]) -> None:
    ordered = sorted(points, key=lambda point: (IN_ORDER.index(point[0]), point[1]))
    shown = [overall_percent(*point) for point in ordered]
    assert shown == sorted(shown)


def test_what_a_stage_takes_is_the_middle_of_what_others_took_for_each_unit() -> None:
    # 10 s for 100 frames, 30 s for 100, 2 s for 10: 0.1, 0.3 and 0.2 s for a frame
    took = [Took(10, 100), Took(30, 100), Took(2, 10)]
    assert usual_seconds(took, 50) == pytest.approx(10.0)
    assert usual_seconds([], 50) is None
    assert usual_seconds([Took(1, 0)], 50) is None


HISTORY = {
    "FETCH": [Took(10, 100)],
    "SCENES": [Took(20, 100)],
    "FRAMES": [Took(5, 100)],
    "DATASET": [Took(4, 40)],
    "STORE": [Took(8, 40)],
    "TRAIN": [Took(500, 1000)],
    "COLLECT": [Took(2, 1)],
    "PUBLISH": [Took(3, 1)],
}


def clock() -> StageClock:
    clock = StageClock(HISTORY)
    for stage in (VideoStage.FETCH, VideoStage.SCENES, VideoStage.FRAMES):
        clock.size(stage, 200)  # seconds of video
    for stage in (VideoStage.DATASET, VideoStage.STORE):
        clock.size(stage, 20)  # frames
    clock.size(VideoStage.TRAIN, 1000)
    return clock


def test_the_time_left_is_that_of_all_stages_to_come() -> None:
    # half of SCENES, which takes 40 s; then 10 + 2 + 4 + 0 (review) + 500 + 2 + 3
    assert clock().left(VideoStage.SCENES, 0.5, elapsed_s=20.0) == pytest.approx(20 + 521)


def test_its_own_pace_counts_the_more_the_more_is_done() -> None:
    # Others take 40 s. After 0.8 of it in 80 s, 20 s are left at this pace and 8 at theirs: 0.8 * 20 + 0.2 * 8.
    assert clock().left(VideoStage.SCENES, 0.8, elapsed_s=80.0) == pytest.approx(17.6 + 521)


def test_what_the_training_says_itself_counts() -> None:
    assert clock().left(VideoStage.TRAIN, 0.1, elapsed_s=1.0, told_s=77.0) == pytest.approx(77 + 5)


def test_nothing_is_said_while_a_stage_cannot_be_told() -> None:
    first_ever = StageClock({})
    first_ever.size(VideoStage.SCENES, 200)
    assert first_ever.left(VideoStage.SCENES, 0.5, elapsed_s=20.0) is None
    assert first_ever.left(VideoStage.PUBLISH, 0.5, elapsed_s=20.0) == pytest.approx(20.0)


def test_before_a_size_is_known_others_are_as_good_as_any() -> None:
    # nothing is known of this video: 20 s of scenes, then 5 + 4 + 8 + 0 + 500 + 2 + 3
    assert StageClock(HISTORY).left(VideoStage.SCENES, 0.0, elapsed_s=0.0) == pytest.approx(20 + 522)
