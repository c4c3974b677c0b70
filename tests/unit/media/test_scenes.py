"""Scenes of drawn clips whose cuts, dissolves, fades, flashes and pans are known to the frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import odd_clips
from tests.fixtures.clips import Change, Truth, small_clip
from thornback.errors import DataError
from thornback.media.cuts import Boundary, How
from thornback.media.decode import Mode
from thornback.media.pieces import Piece
from thornback.media.ranges import Index, Span, plan, read_index
from thornback.media.run import threads
from thornback.media.scenes import Options, Scenes, find_scenes, measure, spaced
from thornback.media.signals import Signals

Make = Callable[[Path], Path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("clip") / "small.mp4"
    return path, small_clip(path)


def expected(truth: Truth) -> list[tuple[str, int, int]]:
    """Kind and the frames that a boundary may stand at."""
    kinds = {Change.CUT: "cut", Change.DISSOLVE: "dissolve", Change.FADE: "fade"}
    return [(kinds[one.kind], one.start, max(one.start, one.end)) for one in truth.transitions]


@pytest.mark.parametrize(("every_frame", "slack"), [(True, 0), (False, 2)])
def test_finds_each_change_and_nothing_else(clip: tuple[Path, Truth], every_frame: bool, slack: int) -> None:
    path, truth = clip
    found = find_scenes(path, options=Options(every_frame=every_frame)).scenes
    assert [scene.how for scene in found] == ["start", *(kind for kind, _, _ in expected(truth))]
    for scene, (_, first, last) in zip(found[1:], expected(truth), strict=True):
        assert first - slack <= scene.start <= last + slack


def test_scenes_have_no_gaps_and_the_times_of_their_frames(clip: tuple[Path, Truth]) -> None:
    path, truth = clip
    found = find_scenes(path)
    assert (found.frames, found.broken) == (truth.frames, 0)
    assert found.length_s == pytest.approx(10.0)
    assert [scene.start for scene in found.scenes] == [0, *(scene.end for scene in found.scenes[:-1])]
    assert found.scenes[-1].end == truth.frames
    assert [scene.start_s for scene in found.scenes] == pytest.approx([scene.start / 24 for scene in found.scenes])


def test_scenes_as_json_and_back(clip: tuple[Path, Truth]) -> None:
    found = find_scenes(clip[0])
    assert Scenes.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_pieces_measure_what_the_whole_does(clip: tuple[Path, Truth]) -> None:
    path, _ = clip
    index = read_index(path)
    assert index.keys.tolist() == [index.stamps[frame] for frame in (0, 48, 96, 144, 192)]
    reach = int(index.stamps[18] - index.stamps[0])  # 0.75 s
    key = int(index.stamps[96])
    spans = [Span(None, None, key + reach, key + 2 * reach), Span(key, key + reach, None, None)]

    def measured(span: Span) -> Signals:
        piece = Piece(str(path), span, index.unit, index.step_s, True, Mode(reference_only=False, rough=True))
        return measure(piece)[0]

    whole, parts = measured(Span()), Signals.join([measured(span) for span in spans])
    assert parts.stamps.tolist() == index.stamps.tolist()
    for name in ("step", "across", "blurred_step", "blurred_across", "spread", "share", "rest", "dip", "alike", "far"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("workers", [2, 5])
def test_a_plan_answers_for_each_moment_once(workers: int) -> None:
    stamps = np.arange(0, 24 * 300) * 512
    index = Index(stamps, stamps[::100], 1 / 12_288, timed=True)
    spans = plan(index, workers, 1.5)
    assert len(spans) >= workers
    owners = [sum(span.owns(int(stamp)) for span in spans) for stamp in stamps[::7]]
    assert set(owners) == {1}
    for before, after in pairwise(spans):
        assert before.own_to is not None
        assert before.stop is not None
        assert before.own_to == after.own_from
        assert after.first in index.keys
        assert before.stop >= before.own_to + 1.5 * 12_288


def test_a_short_video_and_one_without_times_are_one_piece() -> None:
    stamps = np.arange(0, 24 * 10) * 512
    assert plan(Index(stamps, stamps[::12], 1 / 12_288, timed=True), 4, 1.0) == [Span()]
    long = np.arange(0, 24 * 600)
    assert plan(Index(long, long[::12], 1 / 24, timed=False), 4, 1.0) == [Span()]


def test_a_cut_goes_before_a_dissolve_that_is_too_near() -> None:
    index = Index(np.arange(0, 240), np.array([0]), 1 / 24, timed=True)
    found = [Boundary(5, How.CUT), Boundary(60, How.DISSOLVE), Boundary(65, How.CUT), Boundary(120, How.CUT)]
    assert [one.stamp for one in spaced(found, index, 0.4)] == [65, 120]


def test_of_two_cuts_that_are_too_near_the_stronger_stays() -> None:
    index = Index(np.arange(0, 240), np.array([0]), 1 / 24, timed=True)
    found = [Boundary(60, How.CUT, 4.7), Boundary(65, How.CUT, 76.0), Boundary(120, How.CUT, 9.0)]
    assert [one.stamp for one in spaced(found, index, 0.4)] == [65, 120]


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "mpeg4"])
def test_other_codecs(tmp_path: Path, codec: str, clip: tuple[Path, Truth]) -> None:
    found = find_scenes(odd_clips.in_codec(tmp_path / "clip.mkv", codec, {"b": "2000000"})).scenes
    assert len(found) == len(clip[1].scenes)


def test_a_container_without_times_is_counted_through(tmp_path: Path) -> None:
    path = odd_clips.in_codec(tmp_path / "clip.avi", "mpeg4", {"bf": "2", "b": "2000000"})
    assert len(find_scenes(path, run=threads(2)).scenes) == 6


@pytest.mark.parametrize("make", [odd_clips.one_frame, odd_clips.tiny, odd_clips.one_still, odd_clips.odd_size])
def test_one_scene_where_nothing_changes(tmp_path: Path, make: Make) -> None:
    [scene] = find_scenes(make(tmp_path / "clip.mp4")).scenes
    assert (scene.start, scene.how) == (0, How.START)


def test_broken_packets_are_counted(tmp_path: Path) -> None:
    found = find_scenes(odd_clips.broken_packets(tmp_path / "clip.mp4"), options=Options(every_frame=True))
    assert found.broken > 0
    assert found.frames == 60


def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    assert find_scenes(odd_clips.truncated(tmp_path / "clip.mp4")).scenes[0].start == 0


@pytest.mark.parametrize("make", [odd_clips.sound_only, odd_clips.no_video_at_all, odd_clips.header_only])
def test_no_video_is_an_error(tmp_path: Path, make: Make) -> None:
    with pytest.raises(DataError):
        find_scenes(make(tmp_path / "clip.mp4"))


def test_tells_progress_and_can_be_stopped(clip: tuple[Path, Truth]) -> None:
    heard: list[float] = []
    find_scenes(clip[0], tell=heard.append)
    assert heard == [1.0]

    def stop(_: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_scenes(clip[0], tell=stop)
