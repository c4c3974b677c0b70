"""What is measured of one frame: sharpness, exposure, detail, and a hash for finding those that look alike.

All of it is measured at 640 pixels on the longer side, between the bars, so that the figures of videos of all
sizes can be compared. A 1080p JPEG takes about 9 ms on one core, most of it the decoder's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from thornback.media.faces import largest_face
from thornback.media.letterbox import NO_BARS, Bars, find_bars
from thornback.media.phash import phash

SIDE = 640  # pixels, the longer side of what is measured

Grey = npt.NDArray[np.uint8]

_BLOCK = 8  # pixels, the side of a block that has texture or none
_TEXTURE = 3.0  # grey levels by which a block with texture varies (standard deviation)
_REBLUR = 9  # taps, as in the paper
_LIT = 64  # grey level that a twentieth of a frame must exceed for its bars to be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One frame to be measured."""

    frame: Path
    bars: Bars = NO_BARS  # of the video
    face_model: Path | None = None  # of a detector, where faces are to be found


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one frame is like."""

    frame: Path
    width: int  # pixels, of the whole file; 0 where it cannot be read
    height: int
    bars: Bars = NO_BARS  # of the video, as far as this frame has them
    sharpness: float = 0.0  # variance of the Laplacian, grey levels squared
    blur: float = 1.0  # 0 sharp to 1 blurred, see `blur_effect`
    mean: float = 0.0  # grey level, 0 to 255
    light: float = 0.0  # grey level that 95 % of the pixels do not exceed
    shade: float = 0.0  # grey level that 5 % of the pixels do not exceed
    detail: float = 0.0  # share of the blocks that have texture
    hash: int = 0
    face: float | None = None  # share of the picture that its largest face takes, where that was asked for

    @property
    def is_readable(self) -> bool:
        """False for a file that is no picture."""
        return self.width > 0


def measure(look: Look) -> Measured:
    """Measure a frame. Good in any process; OpenCV is held to one thread, since frames are measured side by side."""
    cv2.setNumThreads(1)
    grey = read_grey(look.frame)
    if grey is None:
        return Measured(frame=look.frame, width=0, height=0)
    height, width = grey.shape
    bars = find_bars(grey).within(look.bars) if look.bars else NO_BARS
    small = shrink(bars.cut(grey))
    shade, light = levels(small, 0.05, 0.95)
    return Measured(
        frame=look.frame,
        width=width,
        height=height,
        bars=bars,
        sharpness=laplacian_variance(small),
        blur=blur_effect(small),
        mean=float(small.mean()),
        light=light,
        shade=shade,
        detail=detail(small),
        hash=phash(small),
        face=None if look.face_model is None else largest_face(look.frame, look.face_model),
    )


def bars_of(look: Look) -> Bars | None:
    """The bars of one frame; None for one that cannot be read or has too little light to tell."""
    grey = read_grey(look.frame)
    if grey is None or levels(grey, 0.95)[0] < _LIT:
        return None
    return find_bars(grey)


def levels(grey: Grey, *shares: float) -> list[float]:
    """The grey levels that these shares of the pixels do not exceed."""
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256])
    reached = np.cumsum(counts) / grey.size
    return [float(np.searchsorted(reached, share)) for share in shares]


def read_grey(path: Path) -> Grey | None:
    """A picture file as (height, width); None where it cannot be read."""
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)  # type: ignore[return-value]


def shrink(grey: Grey) -> Grey:
    """At most `SIDE` pixels on the longer side."""
    height, width = grey.shape
    scale = SIDE / max(height, width)
    if scale >= 1:
        return grey
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def laplacian_variance(grey: Grey) -> float:
    """Variance of the Laplacian: much where there are edges, little in what is blurred or plain."""
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


def blur_effect(grey: Grey) -> float:
    """How little a picture changes when it is blurred once more, 0 (much) to 1 (not at all); the worse direction.

    Says more about focus, and less about what is shown, than the Laplacian. After F. Crete et al., "The blur
    effect: perception and estimation with a new no-reference perceptual blur metric", SPIE 6492, 2007.
    """
    picture = grey.astype(np.float32)
    return max(_blur_along(picture, axis) for axis in (0, 1))


def detail(grey: Grey) -> float:
    """Share of the 8 x 8 blocks that have texture."""
    height, width = (side // _BLOCK * _BLOCK for side in grey.shape)
    if not height or not width:
        return 0.0
    picture = grey[:height, :width].astype(np.float32)
    size = (width // _BLOCK, height // _BLOCK)
    mean = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    square = cv2.resize(picture * picture, size, interpolation=cv2.INTER_AREA)
    return float(np.mean(square - mean * mean > _TEXTURE**2))


def _blur_along(picture: npt.NDArray[np.float32], axis: int) -> float:
    taps = (1, _REBLUR) if axis == 0 else (_REBLUR, 1)
    sharp = np.abs(np.diff(picture, axis=axis))
    blurred = np.abs(np.diff(cv2.blur(picture, taps), axis=axis))
    total = float(sharp.sum())
    return 1.0 if total == 0 else 1.0 - float(np.maximum(sharp - blurred, 0).sum()) / total
