"""A short film of a drawn fish in several places, with known cuts: something to try the pipeline on."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360
FPS = 24
SCENE_FRAMES = 36  # a second and a half
SUBJECT = "a yellow fish with dark spots"

Picture = NDArray[np.uint8]


def write_sample_clip(path: Path, *, scenes: int = 12, seed: int = 7) -> list[float]:
    """Film it as H.264; returns the seconds at which scenes begin.

    Args:
        path: of the .mp4.
        scenes: how many places are seen.
        seed: other seeds make other places.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for scene in range(scenes):
            place = _Place(np.random.default_rng([seed, scene]), hue=(scene * 53) % 180)
            for number in range(SCENE_FRAMES):
                frame = av.VideoFrame.from_ndarray(place.drawn(number / SCENE_FRAMES), format="bgr24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [scene * SCENE_FRAMES / FPS for scene in range(scenes)]


class _Place:
    """Where the fish swims: a textured ground that moves along, seen for one scene."""

    def __init__(self, rng: np.random.Generator, *, hue: int) -> None:
        self._ground = _ground(rng, hue)
        self._pan = rng.integers(10, 60, 2)
        self._from, self._to = rng.uniform(0.25, 0.75, 2), rng.uniform(0.25, 0.75, 2)
        self._size, self._turn = rng.uniform(50, 95), rng.uniform(0, 2 * np.pi)

    def drawn(self, share: float) -> Picture:
        """The picture after a share, 0 to 1, of the scene."""
        x, y = (int(distance * share) for distance in self._pan)
        picture = self._ground[y : y + HEIGHT, x : x + WIDTH].copy()
        centre = (self._from + (self._to - self._from) * share) * (WIDTH, HEIGHT)
        _draw_fish(picture, centre, self._size, self._turn + 0.6 * share)
        return picture


def _ground(rng: np.random.Generator, hue: int) -> Picture:
    """Larger than a picture, so that one can move over it: patches, and grains on them."""
    size = (WIDTH + 64, HEIGHT + 64)
    patches, grains = (
        cv2.resize(rng.uniform(-1, 1, cells).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        for cells in ((6, 10), (90, 160))
    )
    hsv = np.empty((size[1], size[0], 3), np.uint8)
    hsv[..., 0] = (hue + 12 * patches).astype(np.int16) % 180
    hsv[..., 1] = np.clip(120 + 60 * patches, 0, 255)
    hsv[..., 2] = np.clip(130 + 50 * patches + 40 * grains, 20, 255)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR).astype(np.uint8)


def _draw_fish(picture: Picture, centre: NDArray[np.float64], size: float, turn: float) -> None:
    """A ray seen from above: wings, a tail, spots."""
    ahead = np.array([np.cos(turn), np.sin(turn)])
    aside = np.array([-ahead[1], ahead[0]])

    def at(forward: float, sideways: float) -> tuple[int, int]:
        point = centre + size * (forward * ahead + sideways * aside)
        return int(point[0]), int(point[1])

    body = np.array([at(0.9, 0), at(0.1, 1.0), at(-0.6, 0.25), at(-0.6, -0.25), at(0.1, -1.0)], np.int32)
    cv2.line(picture, at(-0.5, 0), at(-1.7, 0.1), (30, 120, 150), max(2, int(size / 14)), cv2.LINE_AA)
    cv2.fillPoly(picture, [body], (40, 200, 235), cv2.LINE_AA)
    cv2.polylines(picture, [body], True, (20, 60, 80), 2, cv2.LINE_AA)
    for forward, sideways in ((0.5, 0.2), (0.5, -0.2), (0.1, 0.5), (0.1, -0.5), (-0.2, 0.0), (0.2, 0.0)):
        cv2.circle(picture, at(forward, sideways), max(2, int(size / 10)), (20, 60, 80), -1, cv2.LINE_AA)
