"""Which size each image is trained at: resized to cover a bucket of about its shape, then cropped. Pure.

Nothing is ever distorted. A bucket's sides are multiples of what the model needs, and its area is at most
that of the resolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from train_jobs.lora.families.base import Frame

MOST_STRETCHED = 3.0  # the longest side of a bucket as a multiple of the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How an image becomes one crop of a bucket; heights and widths in pixels."""

    resized: tuple[int, int]  # height, width: covers the bucket
    crop: tuple[int, int]  # top, left
    size: tuple[int, int]  # height, width of the bucket

    def box(self, original: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the crop in the image as it was before it was resized."""
        down, across = original[0] / self.resized[0], original[1] / self.resized[1]
        top, left = self.crop
        # Rounding must not lead over the edge.
        right, bottom = min((left + self.size[1]) * across, original[1]), min((top + self.size[0]) * down, original[0])
        return left * across, top * down, right, bottom

    def frame(self, original: tuple[int, int]) -> Frame:
        """As SDXL is told."""
        return Frame(original=original, crop=self.crop, target=self.size)


@lru_cache(maxsize=64)
def bucket_sizes(resolution: int, multiple: int) -> tuple[tuple[int, int], ...]:
    """(height, width) of all buckets: the square, and for each width the greatest height within the area."""
    area = resolution * resolution
    side = resolution // multiple * multiple
    sizes = {(side, side)} if side else set()
    for width in range(multiple, int(resolution * MOST_STRETCHED) + 1, multiple):
        height = area // width // multiple * multiple
        if height and max(height / width, width / height) <= MOST_STRETCHED:
            sizes |= {(height, width), (width, height)}
    return tuple(sorted(sizes))


def bucket_for(height: int, width: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The bucket whose shape is nearest; of equals the one with the greatest area."""
    shape = math.log(height / width)
    return min(sizes, key=lambda size: (round(abs(math.log(size[0] / size[1]) - shape), 9), -size[0] * size[1], size))


def is_blown_up(height: int, width: int, size: tuple[int, int]) -> bool:
    """True where covering the bucket would enlarge the image."""
    return height < size[0] or width < size[1]


def cut(height: int, width: int, size: tuple[int, int], *, crop: int, key: Sequence[int]) -> Cut:
    """Resize to cover, then crop.

    Args:
        height: of the image, upright.
        width: likewise.
        size: of the bucket.
        crop: 0 is the middle; others lie at random, the same each time.
        key: what tells images apart.
    """
    scale = max(size[0] / height, size[1] / width)
    resized = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    slack = (resized[0] - size[0], resized[1] - size[1])
    if crop == 0:
        place = (slack[0] // 2, slack[1] // 2)
    else:
        random = np.random.default_rng([*key, crop])
        place = (int(random.integers(slack[0] + 1)), int(random.integers(slack[1] + 1)))
    return Cut(resized=resized, crop=place, size=size)
