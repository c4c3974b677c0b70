"""Pictures of scenes: the right frame, exact in time, upright, and one of each scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.fixtures import odd_clips
from tests.fixtures.clips import SMALL, Truth, small_clip
from tests.fixtures.footage import Image
from thornback.media.candidates import MOST_HELD, Held, Look, Pool, best
from thornback.media.colour import picture
from thornback.media.cuts import Boundary, How
from thornback.media.frames import Frame, extract
from thornback.media.run import threads
from thornback.media.scan import scan
from thornback.media.scenes import Options, find_scenes

Make = Callable[[Path], Path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("clip") / "small.mp4"
    return path, small_clip(path)


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def gone_to(path: Path, into: Path) -> list[Frame]:
    return extract(path, find_scenes(path), into, run=threads(2))


def scanned(path: Path, into: Path) -> list[Frame]:
    return scan(path, into, run=threads(2)).frames


def scanned_whole(path: Path, into: Path) -> list[Frame]:
    return scan(path, into, options=Options(every_frame=True)).frames


WAYS = pytest.mark.parametrize("way", [gone_to, scanned])
Way = Callable[[Path, Path], list[Frame]]


@WAYS
def test_a_whole_frame_of_each_scene_and_none_of_a_flash(clip: tuple[Path, Truth], tmp_path: Path, way: Way) -> None:
    path, truth = clip
    frames = way(path, tmp_path)
    assert [frame.scene for frame in frames] == list(range(len(SMALL)))
    for frame, scene in zip(frames, truth.scenes, strict=True):
        assert scene.start <= frame.index < scene.end
        assert not any(trap.start <= frame.index < trap.end for trap in truth.traps)
        assert frame.pts_s == pytest.approx(frame.index / 24)
        assert (frame.width, frame.height) == (320, 180)
        assert read(frame.path).shape == (180, 320, 3)
    assert [frame.path.name for frame in frames] == [f"scene-{number:04d}.jpg" for number in range(1, 7)]


@WAYS
@pytest.mark.parametrize(
    "make",
    [
        lambda path: odd_clips.count_up(path, options={"g": "24", "bf": "3"}),
        lambda path: odd_clips.variable_rate(path, [n * 40 + 7 * (n % 3) for n in range(30)] + [3_000, 3_500, 3_533]),
        lambda path: odd_clips.starting_late(path.with_suffix(".ts")),
        odd_clips.truncated,
        odd_clips.one_frame,
    ],
    ids=["plain", "variable", "late", "truncated", "one"],
)
def test_a_picture_is_the_frame_that_it_says(tmp_path: Path, make: Make, way: Way) -> None:
    frames = way(make(tmp_path / "clip.mp4"), tmp_path / "out")
    assert frames
    for frame in frames:
        assert odd_clips.number_of(read(frame.path)) == frame.index


@pytest.mark.parametrize("way", [gone_to, scanned_whole])
def test_what_builds_on_a_broken_frame_is_no_picture(tmp_path: Path, way: Way) -> None:
    frames = way(odd_clips.broken_packets(tmp_path / "clip.mp4"), tmp_path)
    assert [odd_clips.number_of(read(frame.path)) for frame in frames] == [frame.index for frame in frames]
    assert not any(20 <= frame.index < 24 for frame in frames)


@WAYS
def test_times_are_those_of_the_file(tmp_path: Path, way: Way) -> None:
    times = [n * 40 + 7 * (n % 3) for n in range(60)]
    frames = way(odd_clips.variable_rate(tmp_path / "clip.mp4", times), tmp_path)
    assert [frame.pts_s for frame in frames] == pytest.approx([times[frame.index] / 1000 for frame in frames])


@WAYS
def test_times_begin_with_the_first_frame(tmp_path: Path, way: Way) -> None:
    frames = way(odd_clips.starting_late(tmp_path / "clip.ts"), tmp_path)
    assert [frame.pts_s for frame in frames] == pytest.approx([frame.index / 24 for frame in frames], abs=1e-3)


@WAYS
@pytest.mark.parametrize(("degrees", "shape"), [(90, (320, 180)), (180, (180, 320)), (270, (320, 180))])
def test_a_turned_video_is_upright(tmp_path: Path, degrees: int, shape: tuple[int, int], way: Way) -> None:
    path = odd_clips.rotated(tmp_path / "clip.mp4", degrees)
    frame = way(path, tmp_path)[-1]
    image = read(frame.path)
    assert image.shape[:2] == shape == (frame.height, frame.width)
    # FFmpeg counts a display matrix's degrees counter-clockwise: turned back, it is what was drawn.
    with av.open(path) as container:
        turns = round(next(container.decode(video=0)).rotation / 90)
    assert odd_clips.number_of(np.rot90(image, -turns)) == frame.index


def test_pixels_are_made_square(tmp_path: Path) -> None:
    frame = scanned(odd_clips.odd_size(tmp_path / "clip.mp4"), tmp_path)[0]
    assert (frame.width, frame.height) == (round(322 * 4 / 3), 182)


def test_png_loses_nothing(clip: tuple[Path, Truth], tmp_path: Path) -> None:
    path, _ = clip
    frame = scan(path, tmp_path, format="png").frames[0]
    assert frame.path.read_bytes().startswith(b"\x89PNG")
    with av.open(path) as container:
        shown = list(container.decode(video=0))[frame.index]
    np.testing.assert_array_equal(read(frame.path), picture(shown))


def test_the_sharpest_that_is_clear_of_a_dissolve() -> None:
    choices = [_choice(at, sharpness) for at, sharpness in ((10, 9.0), (30, 2.0), (50, 3.0), (70, 1.0))]
    start, cut = Boundary(0, How.DISSOLVE), Boundary(80, How.CUT)
    # Of 80 frames at 24 a second the first 24 are not clear (1 s).
    assert best(choices, start, cut, 1 / 24) == choices[2]
    assert best(choices, Boundary(0, How.CUT), cut, 1 / 24) == choices[0]
    # In a scene of 20 frames with two gradual ends 7 at each.
    assert best(choices[:1], start, Boundary(20, How.FADE), 1 / 24) == choices[0]
    assert best([_choice(3, 9), _choice(5, 1)], start, Boundary(20, How.FADE), 1 / 24) == _choice(5, 1)
    assert best(choices, Boundary(80, How.CUT), Boundary(90, How.CUT), 1 / 24) is None


def _choice(stamp: int, sharpness: float) -> Held:
    return Held(stamp, FRAME, Look(sharpness, 0.5))


FRAME = av.VideoFrame(64, 36, "yuv420p")


def test_few_frames_are_held_however_much_they_differ() -> None:
    pool = Pool(1 / 24)
    for stamp in range(400):
        pool.offer(stamp, FRAME, step=4.0 ** (stamp % 4))
        assert len(pool) <= MOST_HELD
    held = pool.settle(Boundary(0, How.START), Boundary(400, How.CUT))
    assert held is not None
    assert len(pool) == 0
