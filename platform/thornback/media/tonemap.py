"""High dynamic range brought to that of a screen.

Light is restored by the transfer functions of ITU-R BT.2100 (PQ and HLG, the latter for a display of 1,000 cd/m²),
compressed by the curve of ITU-R BT.2390 (EETF) on the largest of R, G and B, so that hues stay, and coded as sRGB.
White of 203 cd/m² (ITU-R BT.2408) is the brightest that is left.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PEAK = 1000.0  # cd/m² of what is taken in; brighter is clipped
WHITE = 203.0  # cd/m² of what is given out
_LUMINANCE = np.array([[0.2627, 0.6780, 0.0593]], np.float32)  # BT.2020
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # ITU-R BT.2087


class Transfer(StrEnum):
    """How light is coded."""

    PQ = "pq"
    HLG = "hlg"


def to_screen(coded: NDArray[np.uint16], transfer: Transfer, *, bt2020: bool) -> NDArray[np.uint8]:
    """From (height, width, 3) R, G, B of 16 bits to B, G, R of 8 bits."""
    light = _light(coded, transfer)
    light *= _gain(light.max(axis=2))[..., None]
    if bt2020:
        light = np.asarray(cv2.transform(light, _TO_709), np.float32)
    np.clip(light, 0, WHITE, out=light)
    steps = _srgb()
    roots = np.sqrt(light / np.float32(WHITE)) * np.float32(len(steps) - 1)
    return np.asarray(steps[roots.astype(np.uint16)][..., ::-1], np.uint8)


def _light(coded: NDArray[np.uint16], transfer: Transfer) -> Floats:
    """In cd/m²."""
    light = _table(transfer)[coded]
    if transfer is Transfer.HLG:
        scene = np.asarray(cv2.transform(light, _LUMINANCE), np.float32)
        light *= PEAK * np.maximum(scene, 1e-6).reshape(*light.shape[:2], 1) ** np.float32(0.2)
    return light


@cache
def _table(transfer: Transfer) -> Floats:
    """What each of 65,536 codes means: cd/m² for PQ, light of the scene from 0 to 1 for HLG."""
    code = np.linspace(0, 1, 65_536)
    if transfer is Transfer.PQ:
        return np.minimum(_pq_light(code), PEAK).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


def _pq_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    root = code ** (1 / 78.84375)
    return 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def _pq_code(light: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


@cache
def _gains() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light and what it is multiplied by: BT.2390, section 5.4.1, without a black point."""
    light = np.geomspace(1e-3, PEAK, 4096)
    peak, white = (float(_pq_code(np.array([x]))[0]) for x in (PEAK, WHITE))
    most = white / peak
    knee = 1.5 * most - 0.5
    code = _pq_code(light) / peak
    t = np.clip((code - knee) / (1 - knee), 0, 1)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    mapped = np.where(code < knee, code, curve)
    return light, _pq_light(mapped * peak) / light


def _gain(brightest: Floats) -> Floats:
    light, gains = _gains()
    return np.interp(brightest, light, gains).astype(np.float32)


@cache
def _srgb() -> NDArray[np.uint8]:
    """Codes for the square root of light, which spends its steps where the eye does."""
    light = np.linspace(0, 1, 8192) ** 2
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)
