"""Frames made small enough to compare: straight from the decoder's memory, without a conversion of the whole."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

Tiny = NDArray[np.uint8]
"""(3 · 45, 160): brightness, then the two differences of colour, one below the other."""
Coarse = NDArray[np.uint8]
"""(3 · 15 · 32,): the same three."""

WIDTH, HEIGHT = 160, 45
PIXELS = WIDTH * HEIGHT
COARSE_WIDTH, COARSE_HEIGHT = 32, 15
ROWS = 4 * HEIGHT
"""Of a plane so many rows are read; those between them are skipped."""
_PLANAR = {f"yuv{j}{chroma}p": 0 for j in ("", "j") for chroma in (420, 422, 440, 444)}
_DEEP = {f"yuv{chroma}p{bits}le": bits - 8 for chroma in (420, 422, 444) for bits in (10, 12)}
_SHIFTS = _PLANAR | _DEEP
"""Formats that can be read as they are, and by how many bits their pixels exceed eight."""


def tiny(frame: VideoFrame) -> Tiny:
    """The frame in 160x45, all three planes of one size. About 0.2 ms for one of 1920x1080."""
    shift = _SHIFTS.get(frame.format.name)
    if shift is None:
        frame, shift = frame.reformat(format="yuv420p"), 0
    small = np.empty((3 * HEIGHT, WIDTH), np.uint8)
    for number, plane in enumerate(frame.planes[:3]):
        small[number * HEIGHT : (number + 1) * HEIGHT] = _small(plane, shift)
    return small


def _small(plane: VideoPlane, shift: int) -> NDArray[np.uint8]:
    image = halved(rows(plane, shift > 0)[:: max(1, plane.height // ROWS)], WIDTH, HEIGHT)
    image = np.asarray(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR))
    return np.asarray(np.right_shift(image, shift) if shift else image, np.uint8)


def halved(image: NDArray[Any], least_width: int, least_height: int) -> NDArray[Any]:
    """Halved again and again, down to less than twice that size: what OpenCV averages fastest by far."""
    while image.shape[1] >= 2 * least_width and image.shape[0] >= 2 * least_height:
        high, wide = image.shape[0] // 2, image.shape[1] // 2
        image = np.asarray(cv2.resize(image[: 2 * high, : 2 * wide], (wide, high), interpolation=cv2.INTER_AREA))
    return image


def rows(plane: VideoPlane, deep: bool = False) -> NDArray[Any]:
    """A plane's pixels, (height, width), without a copy: 8 bits each, or 16 where it is `deep`."""
    flat = np.frombuffer(memoryview(plane), np.uint16 if deep else np.uint8)
    return flat.reshape(-1, plane.line_size // flat.itemsize)[: plane.height, : plane.width]


def coarse(small: Tiny) -> Coarse:
    """Of a tiny frame: so few pixels that small movements hardly show."""
    image = cv2.resize(small, (COARSE_WIDTH, 3 * COARSE_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.ravel(np.asarray(image, np.uint8))


def distance(one: Tiny, other: Tiny) -> float:
    """Mean absolute difference of the three planes, summed: 0 to 765."""
    return float(cv2.norm(one, other, cv2.NORM_L1)) / PIXELS
