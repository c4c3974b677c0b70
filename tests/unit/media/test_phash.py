"""Hashes of pictures: the same bits as the reference, near for what looks alike, and the nearest found exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.fft import dctn

from tests.unit.media.frames_made import Image, exposed, grained, photographs, resized
from thornback.media.phash import Seen, as_hashes, distances, phash


def grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


@pytest.mark.parametrize("number", range(10))
def test_bits_are_those_of_a_plain_dct(number: int) -> None:
    picture = grey(photographs()[number])
    small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
    low = dctn(small.astype(np.float64), norm="ortho")[:8, :8]
    bits = "".join("1" if value > np.median(low) else "0" for value in low.ravel())
    assert phash(picture) == int(bits, 2)


def test_what_looks_alike_is_nearer_than_anything_else() -> None:
    pictures = photographs()
    own = as_hashes(phash(grey(picture)) for picture in pictures)
    apart = min(int(distances(int(value), np.delete(own, place)).min()) for place, value in enumerate(own))
    worst = 0
    for place, picture in enumerate(pictures):
        _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])
        changed = (
            np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_BGR), np.uint8),
            resized(picture, (480, 320)),
            exposed(picture, 0.9, 15),
            grained(picture, 8),
        )
        worst = max(worst, *(int(distances(phash(grey(image)), own[place : place + 1])[0]) for image in changed))
    assert worst <= 8 < apart


def test_nearest_is_found_exactly() -> None:
    rng = np.random.default_rng(1)
    values = [int(value) for value in rng.integers(0, 1 << 63, 400, dtype=np.uint64)]
    seen = Seen(len(values))
    assert seen.nearest(values[0]) is None
    for number, value in enumerate(values):
        seen.keep(1000 + number, value)
    for asked in [int(value) for value in rng.integers(0, 1 << 63, 50, dtype=np.uint64)]:
        by_hand = [(asked ^ value).bit_count() for value in values]
        assert seen.nearest(asked) == (1000 + by_hand.index(min(by_hand)), min(by_hand))


def test_all_64_bits_count() -> None:
    assert distances(0, as_hashes([0, 1 << 63, (1 << 64) - 1])).tolist() == [0, 1, 64]
