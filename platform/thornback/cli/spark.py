"""A line of numbers as a line of blocks. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=*#"


def sparkline(values: Sequence[float | None], *, width: int, ascii_only: bool = False) -> str:
    """The newest values, at most `width` of them after averaging neighbours; the smallest is the lowest block.

    Values that are None or not finite leave a gap.
    """
    if not values or width < 1:
        return ""
    blocks = _ASCII if ascii_only else _BLOCKS
    points = _averages(values, width)
    known = [point for point in points if point is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = high - low
    top = len(blocks) - 1
    return "".join(
        " " if point is None else blocks[round((point - low) / span * top) if span > 0 else top // 2]
        for point in points
    )


def _averages(values: Sequence[float | None], width: int) -> list[float | None]:
    count = min(width, len(values))
    bounds = [round(index * len(values) / count) for index in range(count + 1)]
    return [_mean(values[start:end]) for start, end in itertools.pairwise(bounds)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None
