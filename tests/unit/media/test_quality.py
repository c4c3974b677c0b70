"""Which frames are kept, and the reason of each that is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.media.frames_made import (
    Image,
    barred,
    defocused,
    dragged,
    exposed,
    grained,
    photograph,
    plain,
    resized,
    save,
)
from thornback.datasets.frame_set import DropReason
from thornback.errors import InvalidInput
from thornback.jobs.video_lora import QualityOptions
from thornback.media.letterbox import NO_BARS
from thornback.media.measure import Look, blur_effect, measure, shrink
from thornback.media.quality import Limit, judge

VIEWS = range(10)


def frames(folder: Path, *images: Image) -> list[Path]:
    return [save(folder, f"{number:03d}.jpg", image) for number, image in enumerate(images)]


def reasons(paths: list[Path], **options: object) -> list[DropReason | None]:
    return [verdict.reason for verdict in judge(paths, QualityOptions.model_validate(options))]


def test_good_frames_all_stay(tmp_path: Path) -> None:
    verdicts = judge(frames(tmp_path, *(photograph(number) for number in VIEWS)))
    assert all(verdict.kept and verdict.reason is None and not verdict.explanation for verdict in verdicts)
    assert {verdict.width for verdict in verdicts} == {960}
    assert all(verdict.scores["sharpness"] > 0 for verdict in verdicts)


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (defocused(photograph(0)), DropReason.BLURRED),
        (dragged(photograph(1)), DropReason.BLURRED),
        (exposed(photograph(2), 0.05), DropReason.DARK),
        (exposed(photograph(3), 0.05, 240), DropReason.BRIGHT),
        (plain(), DropReason.PLAIN),
        (plain(0), DropReason.DARK),
        (plain(255), DropReason.BRIGHT),
        (photograph(5)[:40], DropReason.SMALL),
    ],
    ids=lambda value: value if isinstance(value, DropReason) else "",
)
def test_one_bad_frame_among_good_ones(tmp_path: Path, spoilt: Image, reason: DropReason) -> None:
    good = [photograph(number) for number in VIEWS]
    verdicts = judge(frames(tmp_path, *good[:5], spoilt, *good[5:]))
    assert [verdict.reason for verdict in verdicts] == [None] * 5 + [reason] + [None] * 5
    assert verdicts[5].explanation


def test_what_is_no_picture(tmp_path: Path) -> None:
    paths = frames(tmp_path, *(photograph(number) for number in VIEWS))
    paths[3].write_bytes(paths[3].read_bytes()[:10])
    verdict = judge(paths)[3]
    assert (verdict.reason, verdict.scores, verdict.width) == (DropReason.UNREADABLE, {}, 0)


def test_a_soft_film_is_kept_for_what_it_is(tmp_path: Path) -> None:
    # As sharp as a frame that is dropped above is among sharp ones would be too little; all alike it is usual.
    soft = [defocused(photograph(number), 1.6) for number in VIEWS]
    paths = frames(tmp_path, *soft, defocused(photograph(2), 8))
    assert reasons(paths, duplicate_distance=-1) == [None] * 10 + [DropReason.BLURRED]


def test_but_not_one_without_any_sharp_frame(tmp_path: Path) -> None:
    paths = frames(tmp_path, *(defocused(photograph(number), 9) for number in VIEWS))
    assert set(reasons(paths)) == {DropReason.BLURRED}


def test_a_film_of_the_night_is_kept_but_not_its_black(tmp_path: Path) -> None:
    night = [exposed(photograph(number), 0.3) for number in VIEWS]
    assert reasons(frames(tmp_path, *night, plain(4)))[:10] == [None] * 10
    assert reasons(frames(tmp_path, *night, plain(4)))[10] is DropReason.DARK


def test_grain_is_not_detail(tmp_path: Path) -> None:
    paths = frames(tmp_path, *(photograph(number) for number in VIEWS), grained(plain(), 3))
    assert reasons(paths)[10] is DropReason.PLAIN


def test_of_those_alike_the_sharpest_stays(tmp_path: Path) -> None:
    alike = [defocused(photograph(4), 1.2), photograph(4), grained(exposed(defocused(photograph(4), 1.0), 0.9), 2)]
    others = [photograph(number) for number in (0, 1, 7)]
    paths = frames(tmp_path, alike[0], others[0], alike[1], *others[1:], alike[2])  # all over the video
    verdicts = judge(paths)
    assert [verdict.kept for verdict in verdicts] == [False, True, True, True, True, False]
    for place in (0, 5):
        assert verdicts[place].reason is DropReason.DUPLICATE
        assert verdicts[place].duplicate_of == paths[2]
        assert paths[2].name in verdicts[place].explanation


def test_switched_off(tmp_path: Path) -> None:
    dark, blurred, same = exposed(photograph(2), 0.05), defocused(photograph(0)), photograph(4)
    paths = frames(tmp_path, *(photograph(number) for number in VIEWS), dark, blurred, plain(), same)
    off = {"blur": False, "exposure": False, "detail": False, "duplicate_distance": -1}
    assert set(reasons(paths, **off)) == {None}
    one = {name: reasons(paths, **{**off, name: True}) for name in ("exposure", "detail")}
    # Black is plain too.
    assert [reason for reason in one["exposure"] if reason] == [DropReason.DARK]
    assert [place for place, reason in enumerate(one["detail"]) if reason is DropReason.PLAIN] == [10, 12]
    assert reasons(paths, **{**off, "blur": True})[11] is DropReason.BLURRED
    assert reasons(paths, **{**off, "duplicate_distance": 0})[4] is None  # the same bits, and it came first
    assert reasons(paths, **{**off, "duplicate_distance": 0})[13] is DropReason.DUPLICATE


def test_at_most_so_many_spread_over_the_video(tmp_path: Path) -> None:
    paths = frames(tmp_path, *(photograph(number) for number in VIEWS))
    verdicts = judge(paths, most=4)
    kept = [place for place, verdict in enumerate(verdicts) if verdict.kept]
    assert len(kept) == 4
    # Ten frames in four pieces: 0-1, 2-4, 5-6, 7-9.
    assert [sum(first <= place < end for place in kept) for first, end in ((0, 2), (2, 5), (5, 7), (7, 10))] == [1] * 4
    assert {verdict.reason for verdict in verdicts if not verdict.kept} == {DropReason.SURPLUS}
    assert all(verdict.kept for verdict in judge(paths, most=10))


def test_the_best_of_each_piece_is_the_least_blurred(tmp_path: Path) -> None:
    images = [photograph(number) if number in (2, 9) else defocused(photograph(number), 2.5) for number in VIEWS]
    verdicts = judge(frames(tmp_path, *images), QualityOptions(blur=False), most=2)
    assert [place for place, verdict in enumerate(verdicts) if verdict.kept] == [2, 9]


def test_bars_do_not_hide_what_is_between_them(tmp_path: Path) -> None:
    images = [barred(photograph(number), top=90, bottom=90) for number in VIEWS]
    paths = frames(tmp_path, *images, barred(exposed(photograph(1), 0.05), top=90, bottom=90))
    with_bars = judge(paths, QualityOptions(crop_letterbox=True))
    assert [verdict.kept for verdict in with_bars] == [True] * 10 + [False]
    assert all(82 <= verdict.bars.top <= 92 and not verdict.bars.left for verdict in with_bars[:10])
    assert {verdict.bars for verdict in judge(paths)} == {NO_BARS}


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[float] = []
    judge(frames(tmp_path, *(photograph(number) for number in range(4))), tell=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_no_frames() -> None:
    assert judge([]) == []
    assert judge([], QualityOptions(crop_letterbox=True), most=3) == []


def test_figures_hardly_depend_on_the_size(tmp_path: Path) -> None:
    large = resized(photograph(1), (1920, 1280))
    small, big = (measure(Look(frame=path)) for path in frames(tmp_path, photograph(1), large))
    assert big.sharpness == pytest.approx(small.sharpness, rel=0.15)
    assert big.blur == pytest.approx(small.blur, abs=0.03)
    assert big.detail == pytest.approx(small.detail, abs=0.03)


def test_blur_effect_is_from_sharp_to_blurred() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300)).astype(np.uint8)
    ramp = np.tile(np.arange(250, dtype=np.uint8), (200, 1))
    steps = [blur_effect(shrink(defocused(photograph(0), sigma)[:, :, 1])) for sigma in (0.5, 2, 4, 8)]
    assert blur_effect(noise) < 0.15
    assert blur_effect(ramp) == pytest.approx(1.0, abs=0.05)  # nothing to lose
    assert steps == sorted(steps)
    assert blur_effect(plain()[:, :, 0]) == 1.0


def test_limit() -> None:
    limit = Limit(share=0.5, floor=10, ceiling=40)
    assert [limit.of([value]) for value in (0, 30, 60, 500)] == [10, 15, 30, 40]
    assert limit.of([]) == 10


def test_faces_need_a_detector(tmp_path: Path) -> None:
    paths = frames(tmp_path, photograph(0))
    with pytest.raises(InvalidInput, match="THORNBACK_FACE_MODEL"):
        judge(paths, QualityOptions(faces=True))
    with pytest.raises(InvalidInput, match="there is no file"):
        judge(paths, QualityOptions(faces=True), face_model=tmp_path / "none.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(InvalidInput, match="is no face detector"):
        judge(paths, QualityOptions(faces=True), face_model=broken)
