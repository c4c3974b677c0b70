"""Perceptual hashes: pictures that look alike differ in few of their 64 bits, and the nearest is found exactly.

Measured on 60 pictures: recompression, half the size, 25 levels more brightness and noise of 8 levels moved at
most 8 bits (0 to 2 in the middle); of different pictures one pair in a hundred was nearer than 12. A crop of 4 %
moves up to 20 bits and is not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

BITS = 64
_SIDE = 32  # pixels the picture is shrunk to
_LOW = 8  # frequencies along each side that count

Hashes = npt.NDArray[np.uint64]


def phash(grey: npt.NDArray[np.uint8]) -> int:
    """Which of the 8 x 8 lowest frequencies (DCT-II of the picture at 32 x 32) are above their median, as 64 bits.

    The bits of `imagehash.phash`, apart from how the picture is shrunk.

    Args:
        grey: (height, width).
    """
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:_LOW, :_LOW]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def as_hashes(values: Iterable[int]) -> Hashes:
    """Hashes as an array, for `distances`."""
    return np.fromiter(values, dtype=np.uint64)


def distances(value: int, others: Hashes) -> npt.NDArray[np.uint8]:
    """In how many bits a hash differs from each of the others. 20,000 take 0.04 ms."""
    apart: npt.NDArray[np.uint8] = np.bitwise_count(others ^ np.uint64(value))
    return apart


class Seen:
    """The hashes kept so far, each with the number it was kept under."""

    def __init__(self, most: int) -> None:
        self._hashes = np.empty(most, dtype=np.uint64)
        self._numbers: list[int] = []

    def nearest(self, value: int) -> tuple[int, int] | None:
        """(number, distance) of the nearest, of several the first that was kept; None where there is none."""
        if not self._numbers:
            return None
        apart = distances(value, self._hashes[: len(self._numbers)])
        place = int(apart.argmin())
        return self._numbers[place], int(apart[place])

    def keep(self, number: int, value: int) -> None:
        """Remember one."""
        self._hashes[len(self._numbers)] = value
        self._numbers.append(number)
