"""Frames of which it is known what is wrong with them: photographs of scikit-learn's, spoilt on purpose."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

SIZE = (960, 640)  # width, height


@cache
def photographs() -> tuple[Image, ...]:
    """Ten views of two photographs (a temple, a flower), BGR, none of which looks like another."""
    from sklearn.datasets import load_sample_images

    views = []
    for photograph in load_sample_images().images:
        for left, top in ((0, 0), (310, 0), (0, 205), (310, 205), (160, 100)):
            view = np.ascontiguousarray(photograph[top : top + 220, left : left + 330, ::-1])
            views.append(resized(view, SIZE))
    return tuple(views)


def photograph(number: int) -> Image:
    """One of them, to be changed at will."""
    return photographs()[number].copy()


def resized(image: Any, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def defocused(image: Image, sigma: float = 5.0) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def dragged(image: Image, pixels: int = 31) -> Image:
    """As a camera that moves sideways sees it."""
    kernel = np.zeros((pixels, pixels), np.float32)
    kernel[pixels // 2] = 1 / pixels
    return np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def exposed(image: Image, gain: float, lift: float = 0.0) -> Image:
    return np.asarray(np.clip(image * gain + lift, 0, 255), np.uint8)


def grained(image: Image, levels: float = 6.0) -> Image:
    noise = np.random.default_rng(7).normal(0, levels, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def barred(image: Image, *, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> Image:
    """The picture made smaller between black bars; the size stays."""
    height, width = image.shape[:2]
    inner = resized(image, (width - left - right, height - top - bottom))
    return np.asarray(cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_CONSTANT), np.uint8)


def plain(level: int = 128) -> Image:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


def save(folder: Path, name: str, image: Image, *, quality: int = 95) -> Path:
    path = folder / name
    assert cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path
