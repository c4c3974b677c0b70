"""Nothing is distorted or blown up unasked, whatever the shape of an image."""

from __future__ import annotations

import io

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from train_jobs.lora.buckets import MOST_STRETCHED, bucket_for, bucket_sizes, cut, is_blown_up
from train_jobs.lora.pixels import to_mask, to_pixels

sides = st.integers(8, 6000)
resolutions = st.integers(64, 2048)
multiples = st.sampled_from([16, 32, 64])


@given(resolution=resolutions, multiple=multiples)
def test_buckets_are_multiples_within_the_area(resolution: int, multiple: int) -> None:
    sizes = bucket_sizes(resolution, multiple)
    side = resolution // multiple * multiple
    assert (side, side) in sizes
    for height, width in sizes:
        assert height % multiple == width % multiple == 0
        assert height * width <= resolution**2
        assert max(height / width, width / height) <= MOST_STRETCHED
        assert (width, height) in sizes


@given(height=sides, width=sides, resolution=resolutions, multiple=multiples, crop=st.integers(0, 15))
def test_an_image_is_covered_and_not_distorted(
    height: int, width: int, resolution: int, multiple: int, crop: int
) -> None:
    size = bucket_for(height, width, bucket_sizes(resolution, multiple))
    place = cut(height, width, size, crop=crop, key=(7,))
    down, across = place.resized[0] / height, place.resized[1] / width
    # Each side is rounded to a whole pixel on its own, by half a pixel at most.
    assert abs(down - across) <= 0.51 / height + 0.51 / width
    assert all(place.resized[axis] >= size[axis] for axis in (0, 1))
    # It covers and no more: one side is the bucket's.
    assert any(place.resized[axis] == size[axis] for axis in (0, 1))
    assert all(0 <= place.crop[axis] <= place.resized[axis] - size[axis] for axis in (0, 1))
    left, top, right, bottom = place.box((height, width))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert is_blown_up(height, width, size) == (max(down, across) > 1.0 or size[0] > height or size[1] > width)
    assert place == cut(height, width, size, crop=crop, key=(7,))


@given(height=sides, width=sides)
def test_the_nearest_shape_is_taken(height: int, width: int) -> None:
    sizes = bucket_sizes(512, 64)
    chosen = bucket_for(height, width, sizes)

    def off(size: tuple[int, int]) -> float:
        return abs(float(np.log(size[0] / size[1] / (height / width))))

    assert off(chosen) <= min(off(size) for size in sizes) + 1e-6


def test_the_middle_is_the_first_crop_and_others_lie_about() -> None:
    places = [cut(100, 300, (64, 64), crop=crop, key=(1,)) for crop in range(8)]
    assert {place.resized for place in places} == {(64, 192)}
    assert places[0].crop == (0, 64)
    assert len({place.crop for place in places}) > 4
    assert cut(100, 300, (64, 64), crop=1, key=(2,)).crop != places[1].crop


def _gradient(height: int, width: int) -> Image.Image:
    """Red is the column and green the row, in 0..255."""
    columns = np.linspace(0, 255, width)[None].repeat(height, 0)
    rows = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([columns, rows, 0 * rows], -1).round().astype(np.uint8))


@settings(max_examples=20, deadline=None)
@given(crop=st.integers(0, 5), shape=st.sampled_from([(200, 320), (320, 200), (128, 128), (90, 700)]))
def test_the_cut_is_where_it_says_and_a_mask_is_cut_alike(crop: int, shape: tuple[int, int]) -> None:
    image = _gradient(*shape)
    place = cut(*shape, (64, 64), crop=crop, key=(3,))
    pixels = to_pixels(image, place)
    assert pixels.shape == (3, 64, 64)
    found = (pixels + 1) * 127.5
    # The middle of the cut, as a place in the whole image.
    expected = [
        (place.crop[1] + 32) / place.resized[1] * 255,
        (place.crop[0] + 32) / place.resized[0] * 255,
    ]
    middle = found[:2, 31:33, 31:33].mean(dim=(1, 2))
    assert torch.allclose(middle, torch.tensor(expected), atol=3.0)

    out = io.BytesIO()
    image.getchannel("R").save(out, "PNG")
    mask = to_mask(out.getvalue(), place, (8, 8))
    assert mask.shape == (1, 8, 8)
    averaged = torch.nn.functional.adaptive_avg_pool2d(found[:1], (8, 8)) / 255
    assert torch.allclose(mask, averaged, atol=0.02)


def test_a_thread_of_an_image_takes_no_memory() -> None:
    """Resized as a whole it would be 64 x 512,000 pixels."""
    pixels = to_pixels(_gradient(1, 8000), cut(1, 8000, (64, 128), crop=0, key=(1,)))
    assert pixels.shape == (3, 64, 128)
