"""What can be said of a picture without a model: how bright it is and which colours it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from thornback.datasets import pictures

_SIDE = 64  # pixels of what is measured
_DARK, _BRIGHT = 60, 180  # mean lightness, 0 to 255
_GREY_BELOW = 40  # saturation, 0 to 255
_BLACK_BELOW = 40  # value; darker pixels have a hue that nobody sees
_MONOCHROME = 0.95  # share of pixels without a colour
_MENTIONED = 0.15  # share of the picture that a colour needs
_MOST_COLOURS = 2
# Hue as Pillow counts it, 0 to 255 around the circle; a name holds up to its figure.
_HUES = (
    (10, "red"),
    (30, "orange"),
    (46, "yellow"),
    (113, "green"),
    (135, "cyan"),
    (178, "blue"),
    (205, "purple"),
    (240, "pink"),
    (256, "red"),
)


def facts_of(path: Path) -> str:
    """For example `dark, mostly blue and orange`; empty where there is nothing to remark. Raises DataError."""
    image = pictures.to_rgb(path.read_bytes())
    image.thumbnail((_SIDE, _SIDE))
    pixels = np.asarray(image.convert("HSV")).reshape(-1, 3)
    return ", ".join(part for part in (_light(pixels), _colours(pixels)) if part)


def _light(pixels: npt.NDArray[Any]) -> str:
    saturation, value = pixels[:, 1] / 255.0, pixels[:, 2]
    lightness = float((value * (1 - saturation / 2)).mean())  # between the brightest and the darkest channel
    return "dark" if lightness < _DARK else "bright" if lightness > _BRIGHT else ""


def _colours(pixels: npt.NDArray[Any]) -> str:
    coloured = pixels[(pixels[:, 1] >= _GREY_BELOW) & (pixels[:, 2] >= _BLACK_BELOW)]
    if len(coloured) <= (1 - _MONOCHROME) * len(pixels):
        return "black and white"
    bounds = np.array([bound for bound, _ in _HUES])
    counts = np.bincount(np.searchsorted(bounds, coloured[:, 0], side="right"), minlength=len(_HUES))
    shares: dict[str, float] = {}
    for (_, name), count in zip(_HUES, counts, strict=True):
        shares[name] = shares.get(name, 0.0) + count / len(pixels)
    named = sorted((name for name, share in shares.items() if share >= _MENTIONED), key=lambda name: -shares[name])
    return f"mostly {' and '.join(named[:_MOST_COLOURS])}" if named else ""
