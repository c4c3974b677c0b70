"""From a decoded frame to the picture that a viewer would see.

The matrix and the range are the file's own. Where the file does not say, a picture of 720 rows or more is taken
for BT.709 and a smaller one for BT.601, as players do (libswscale takes BT.601 for all). High dynamic range is
brought down to that of a screen, the display's rotation is applied, pixels are made square, and of interlaced
frames one field is kept.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from numpy.typing import NDArray

from thornback.errors import DataError
from thornback.media.tiny import rows
from thornback.media.tonemap import Transfer, to_screen

Picture = NDArray[np.uint8]
"""(height, width, 3), blue first as OpenCV has it, upright, sRGB."""

HD_ROWS = 720
# ISO/IEC 23091-2 (H.273)
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.SMPTE170M,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_SHARES = {
    Colorspace.ITU709: (0.2126, 0.0722),
    Colorspace.FCC: (0.30, 0.11),
    Colorspace.ITU601: (0.299, 0.114),
    Colorspace.SMPTE170M: (0.299, 0.114),
    Colorspace.SMPTE240M: (0.212, 0.087),
    Colorspace.BT2020: (0.2627, 0.0593),
}
"""Of red and blue in brightness: H.273, table 4."""
_EIGHT_BITS = {f"yuv{j}{chroma}p" for j in ("", "j") for chroma in (420, 422, 444)}
_BT2020 = 9
_FULL = 2
_LIMITED = 1
_TRANSFERS = {16: Transfer.PQ, 18: Transfer.HLG}


def picture(frame: VideoFrame, aspect: float = 1.0) -> Picture:
    """The frame as it is looked at; `aspect` is the width of one coded pixel by its height.

    Raises:
        DataError: the colours are coded in a way that is not known.
    """
    transfer = _TRANSFERS.get(int(frame.color_trc))
    if transfer is None:
        image = _planar(frame) if frame.format.name in _EIGHT_BITS else np.asarray(_converted(frame, "bgr24"), np.uint8)
    else:
        coded = np.asarray(_converted(frame, "rgb48le"), np.uint16)
        image = to_screen(coded, transfer, bt2020=int(frame.color_primaries) == _BT2020)
    if frame.interlaced_frame:
        image = _resized(image[::2], frame.width, frame.height)
    if abs(aspect - 1) > 0.01:
        image = _resized(image, max(1, round(frame.width * aspect)), frame.height)
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def _resized(image: Picture, width: int, height: int) -> Picture:
    smaller = width < image.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _planar(frame: VideoFrame) -> Picture:
    """The usual case, without libswscale, which takes five times as long where its colours are to be exact."""
    red, blue = _SHARES[Colorspace(matrix(int(frame.colorspace), frame.height))]
    light, hue, black = (1.0, 1.0, 0.0) if _is_full(frame) else (255 / 219, 255 / 224, 16.0)
    from_blue, from_red = 2 * (1 - blue) * hue, 2 * (1 - red) * hue
    green = 1 - red - blue
    back = np.array(
        [[light, from_blue, 0], [light, -from_blue * blue / green, -from_red * red / green], [light, 0, from_red]]
    )
    offset = -back @ np.array([black, 128, 128])
    size = (frame.width, frame.height)
    planes = [cv2.resize(rows(plane), size, interpolation=cv2.INTER_CUBIC) for plane in frame.planes[:3]]
    return np.asarray(cv2.transform(cv2.merge(planes), np.column_stack([back, offset])), np.uint8)


def _is_full(frame: VideoFrame) -> bool:
    return int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj") or bool(frame.format.is_rgb)


def _converted(frame: VideoFrame, form: str) -> NDArray[Any]:
    rgb = frame.format.is_rgb
    try:
        made = frame.reformat(
            format=form,
            src_colorspace=Colorspace.DEFAULT if rgb else matrix(int(frame.colorspace), frame.height),
            src_color_range=_FULL if _is_full(frame) else _LIMITED,
            dst_color_range=_FULL,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        )
        return made.to_ndarray()
    except (OSError, ValueError) as error:
        raise DataError(f"pictures coded as {frame.format.name} cannot be read") from error


def matrix(said: int, rows: int) -> int:
    """The matrix by its number in H.273, or the usual one for this many rows."""
    return int(_MATRICES.get(said, Colorspace.ITU709 if rows >= HD_ROWS else Colorspace.ITU601))
