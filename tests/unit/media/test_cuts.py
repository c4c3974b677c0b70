"""Cuts beside what flickers, and pictures that an encoder drew afresh."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from thornback.media.cuts import How, boundaries
from thornback.media.ranges import Index
from thornback.media.signals import Meter
from thornback.media.tiny import HEIGHT, WIDTH, Tiny

UNIT_S = 1 / 24
SHAPE = (3 * HEIGHT, WIDTH)


def picture(seed: int, middle: int) -> np.ndarray:
    """Blocks of 16 by 9, within 30 of the middle."""
    blocks = np.random.default_rng(seed).integers(middle - 30, middle + 31, (3 * HEIGHT // 9, WIDTH // 16))
    return np.asarray(blocks.repeat(9, axis=0).repeat(16, axis=1), np.int64)


def swarm(around: np.ndarray, seed: int, strength: int) -> Tiny:
    """Every pixel somewhere else in each frame."""
    noise = np.random.default_rng(seed).integers(-strength, strength + 1, SHAPE)
    return np.asarray(np.clip(around + noise, 0, 255), np.uint8)


def found(frames: Iterable[Tiny], refreshes: frozenset[int] = frozenset()) -> list[int]:
    meter = Meter(UNIT_S, UNIT_S)
    for stamp, frame in enumerate(frames):
        meter.add(stamp, frame, refresh=stamp in refreshes)
    bounds = boundaries(meter.take(last=True), UNIT_S)
    assert all(bound.how is How.CUT for bound in bounds)
    return [bound.stamp for bound in bounds]


@pytest.mark.parametrize("swarm_first", [False, True])
def test_a_cut_between_calm_and_swarming_pictures(swarm_first: bool) -> None:
    calm = [np.asarray(picture(1, 90), np.uint8)] * 30
    wild = [swarm(picture(2, 130), seed, 60) for seed in range(30)]
    assert found([*wild, *calm] if swarm_first else [*calm, *wild]) == [30]


def test_swarming_alone_is_no_cut() -> None:
    assert found([swarm(picture(2, 150), seed, 60) for seed in range(60)]) == []


def test_a_picture_drawn_afresh_by_the_clock_needs_a_greater_step() -> None:
    before, after = picture(1, 100), picture(1, 100) + np.where(picture(3, 100) > 100, 3, -3)
    frames = [np.asarray(image, np.uint8) for image in [before] * 30 + [after] * 30]
    assert found(frames) == [30]
    assert found(frames, frozenset({30})) == []


def test_refreshes_are_the_key_frames_after_the_greatest_distance() -> None:
    keys = np.array([0, 48, 61, 109, 120])
    assert Index(np.arange(130), keys, UNIT_S, timed=True).refreshes == {48, 109}
    assert Index(np.arange(130), keys[:1], UNIT_S, timed=True).refreshes == frozenset()
