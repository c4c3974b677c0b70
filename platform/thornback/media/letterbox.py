"""Black bars that are burnt into a picture: found, agreed on for a whole video, and cut off.

No content is ever cut: what is cut off a frame is black in that very frame, and in nearly all others of its video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from thornback.errors import DataError

Grey = npt.NDArray[np.uint8]
_Image = TypeVar("_Image", bound=npt.NDArray[Any])

_BLACK = 32  # luma of what still counts as black: 16 is black in limited range, the rest are traces of compression
_BLACK_MEAN = 20.0
_LEAST_SHARE = 0.01  # narrower bars are the edge of the picture
_MOST_SHARE = 0.3  # of one side; a darker scene is no bar
_SOFT_EDGE = 2  # pixels that scaling has blurred between bar and picture
_AGREED = 0.1  # share of frames that may have narrower bars: bright titles in a bar, scenes of another shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """How many pixels are black along each side."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any(astuple(self))

    def within(self, other: Bars) -> Bars:
        """The narrower bar of each side."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return _bars(min(pair) for pair in pairs)

    def cut(self, image: _Image) -> _Image:
        """What is between the bars, as a view. (height, width, …)."""
        height, width = image.shape[:2]
        return image[self.top : height - self.bottom, self.left : width - self.right]  # type: ignore[return-value]


NO_BARS = Bars()


def find_bars(grey: Grey) -> Bars:
    """The bars of one picture, (height, width); none where it is black all over."""
    rows, columns = _is_black(grey, axis=1), _is_black(grey, axis=0)
    if rows.all() or columns.all():
        return NO_BARS
    return Bars(
        top=_thickness(rows), bottom=_thickness(rows[::-1]), left=_thickness(columns), right=_thickness(columns[::-1])
    )


def agreed(found: Sequence[Bars]) -> Bars:
    """The bars of a video: of each side the widest that nine in ten of its frames have."""
    if not found:
        return NO_BARS
    sides = np.sort(np.array([astuple(bars) for bars in found]), axis=0)
    return _bars(int(side) for side in sides[int(_AGREED * len(found))])


def crop(path: Path, bars: Bars, *, quality: int = 95) -> None:
    """Cut the bars off a picture file, in place.

    Args:
        path: of a JPEG or PNG.
        bars: as found in it.
        quality: of a JPEG that is written.

    Raises:
        DataError: it cannot be read.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_BGR)
    if image is None:
        raise DataError(f"{path.name} cannot be read as a picture")
    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    cv2.imwrite(str(partial), bars.cut(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    partial.replace(path)


def _is_black(grey: Grey, *, axis: int) -> npt.NDArray[np.bool_]:
    black: npt.NDArray[np.bool_] = (grey.max(axis=axis) <= _BLACK) & (grey.mean(axis=axis) <= _BLACK_MEAN)
    return black


def _thickness(black: npt.NDArray[np.bool_]) -> int:
    """Length of the run of black lines that an edge begins with; 0 where that is no bar."""
    run = int(np.argmin(black))
    if not _LEAST_SHARE * len(black) <= run <= _MOST_SHARE * len(black):
        return 0
    return run + _SOFT_EDGE


def _bars(sides: Any) -> Bars:
    top, bottom, left, right = sides
    return Bars(top=top, bottom=bottom, left=left, right=right)
