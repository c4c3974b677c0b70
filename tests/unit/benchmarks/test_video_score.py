"""The score counts each detection once, and neither rewards nor hides what should not be."""

from __future__ import annotations

import pytest

from tests.benchmarks.video_clips import RECIPES, plan
from tests.benchmarks.video_score import scenes_without, score
from tests.fixtures.clips import SMALL, Trap, truth_of

# Cuts at 30, 116, 156; a dissolve over 66 to 86, a fade over 186 to 210; a flash at 48 and 49, a whip at 131 to 139.
TRUTH = truth_of(SMALL, size=(320, 180), fps=24.0)


def test_perfect() -> None:
    got = score([30, 76, 116, 156, 198], TRUTH)
    assert (got.f1, got.exact, got.false, got.gradual_found, got.gradual) == (1.0, 3, 0, 2, 2)


def test_two_frames_away_is_found_and_three_is_missed_and_false() -> None:
    got = score([32, 113, 156], TRUTH)
    assert (got.found, got.exact, got.false) == (2, 1, 1)
    assert got.missed == (116,)
    assert got.wrong == (113,)
    assert got.f1 == pytest.approx(2 / 3)  # precision 2 of 3, recall 2 of 3


def test_second_detection_of_a_cut_is_false() -> None:
    got = score([30, 31, 116, 156], TRUTH)
    assert (got.found, got.exact, got.false) == (3, 3, 1)
    assert got.precision == 0.75


def test_detections_around_a_gradual_change_find_it_once_and_are_not_false() -> None:
    assert score([30, 64, 70, 88, 116, 156], TRUTH).gradual_found == 1
    assert score([30, 64, 70, 88, 116, 156], TRUTH).false == 0
    assert score([30, 63, 89, 116, 156], TRUTH).gradual_found == 0
    assert score([30, 63, 89, 116, 156], TRUTH).false == 2


def test_false_ones_are_told_by_the_trap_they_fell_into() -> None:
    got = score([30, 46, 52, 116, 139, 156, 175], TRUTH)
    assert (got.false_in[Trap.FLASH], got.false_in[Trap.WHIP], got.false) == (2, 1, 4)


def test_nothing_found() -> None:
    assert score([], TRUTH).f1 == 0.0


def test_scene_has_a_frame_only_if_it_is_a_whole_one() -> None:
    # Scenes: 0-30, 30-66, 86-116, 116-156, 156-186, 210-240.
    assert scenes_without([0, 65, 86, 155, 185, 239], TRUTH) == []
    assert scenes_without([30, 66, 85, 100, 240], TRUTH) == [0, 3, 4, 5]


@pytest.mark.parametrize("name", list(RECIPES))
def test_clips_have_what_the_figures_ask_for(name: str) -> None:
    truth = truth_of(plan(RECIPES[name]), size=(1920, 1080), fps=24.0)
    assert 290 < truth.frames / truth.fps < 330
    assert len(truth.cuts) > 150
    assert len(truth.gradual) == 16
    assert {trap.kind for trap in truth.traps} == set(Trap)


def test_holdout_shares_nothing_with_the_clip_that_thresholds_are_chosen_on() -> None:
    a, b = RECIPES["a"], RECIPES["b"]
    assert not set(a.makers) & set(b.makers)
    assert not {*a.dissolves, *a.fades} & {*b.dissolves, *b.fades}
    assert a.options["g"] != b.options["g"]
    assert not {shot.seed for shot in plan(a)} & {shot.seed for shot in plan(b)}
