"""Burnt-in bars: found to the pixel, agreed on for a video, and cut off without any content."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.unit.media.frames_made import SIZE, barred, exposed, grained, photograph, plain, save
from thornback.errors import DataError
from thornback.media.letterbox import NO_BARS, Bars, agreed, crop, find_bars
from thornback.media.measure import read_grey

WIDTH, HEIGHT = SIZE
SOFT = 2  # what is cut beyond the bar, where scaling has blurred it


def bars_in(path: Path) -> Bars:
    grey = read_grey(path)
    assert grey is not None
    return find_bars(grey)


@pytest.mark.parametrize(
    "sides",
    [
        {"top": 80, "bottom": 80},
        {"left": 120, "right": 118},
        {"top": 40, "bottom": 60, "left": 50, "right": 70},
        {"top": 90},
    ],
)
def test_bars_are_found_in_a_compressed_frame(tmp_path: Path, sides: dict[str, int]) -> None:
    path = save(tmp_path, "a.jpg", barred(photograph(1), **sides), quality=85)
    found = bars_in(path)
    for side in ("top", "bottom", "left", "right"):
        expected = sides.get(side, 0)
        # JPEG rings about 8 pixels into a bar
        assert getattr(found, side) == 0 if not expected else expected - 8 <= getattr(found, side) <= expected + SOFT


def test_a_whole_picture_has_none(tmp_path: Path) -> None:
    for number in range(10):
        assert not bars_in(save(tmp_path, f"{number}.jpg", photograph(number)))


def test_black_is_no_bar() -> None:
    assert find_bars(np.zeros((HEIGHT, WIDTH), np.uint8)) == NO_BARS
    half = np.zeros((HEIGHT, WIDTH), np.uint8)
    half[HEIGHT // 2 :] = 200  # a lamp in the lower half of a dark room
    assert find_bars(half) == NO_BARS


def test_bars_are_of_the_video() -> None:
    usual, wider, none = Bars(top=80, bottom=80), Bars(top=200, bottom=80, left=90), NO_BARS
    assert agreed([usual] * 19 + [wider]) == usual  # a dark scene seems to have more
    assert agreed([usual] * 19 + [none]) == usual  # a title lies in them once
    assert agreed([usual] * 8 + [none] * 2) == NO_BARS  # some scenes fill the screen
    assert agreed([]) == NO_BARS


def test_no_frame_loses_content() -> None:
    titled = find_bars(np.full((100, 100), 200, np.uint8))
    assert titled.within(Bars(top=8, bottom=8)) == NO_BARS
    assert Bars(top=20, left=3).within(Bars(top=8, bottom=8)) == Bars(top=8)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_cropped_file(tmp_path: Path, name: str) -> None:
    inner = exposed(grained(photograph(2)), 0.8, 40)
    path = save(tmp_path, name, barred(inner, top=80, bottom=80))
    crop(path, Bars(top=82, bottom=82))
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_BGR)
    assert image is not None
    assert image.shape == (HEIGHT - 164, WIDTH, 3)
    assert image.min(axis=(1, 2)).mean() > 20  # no black line is left
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_what_is_no_picture_cannot_be_cropped(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.jpg"):
        crop(path, Bars(top=1))
    assert path.read_bytes() == b"no picture"


def test_plain_light_frame_has_none(tmp_path: Path) -> None:
    assert not bars_in(save(tmp_path, "a.png", plain(90)))
