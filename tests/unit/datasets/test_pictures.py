"""Pictures are read to their end and become upright RGB JPEGs; what is none is refused in words."""

from __future__ import annotations

import struct
import zlib

import pytest
from PIL import Image

from tests.unit.datasets.pictures_made import opened, picture, saved
from thornback.datasets.pictures import MAX_PIXELS, check, to_jpeg
from thornback.errors import DataError


def _png_of(width: int, height: int) -> bytes:
    """A PNG that says it is so large, with a few bytes of data: a bomb, as far as one can tell from its head."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_a_jpeg_is_kept_to_the_byte() -> None:
    content = picture("JPEG", quality=70)
    assert to_jpeg(content).content == content
    assert (to_jpeg(content).width, to_jpeg(content).height) == (24, 16)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_every_kind_becomes_a_jpeg(format: str) -> None:
    made = to_jpeg(picture(format))
    image = opened(made.content)
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (24, 16))
    assert check(picture(format)).format == format


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    red = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    half = Image.new("LA", (8, 8), (0, 128))
    for image, expected in ((clear, (255, 255, 255)), (red, (254, 0, 0)), (half, (127, 127, 127))):
        assert opened(to_jpeg(saved(image, "PNG")).content).getpixel((4, 4)) == pytest.approx(expected, abs=2)


def test_a_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 255, 255, 0, 0])
    content = saved(image, "PNG", transparency=0)
    assert opened(to_jpeg(content).content).getpixel((4, 4)) == pytest.approx((255, 255, 255), abs=2)
    assert opened(to_jpeg(saved(image, "PNG")).content).getpixel((4, 4)) == pytest.approx((0, 0, 255), abs=2)


def test_sixteen_bits_keep_their_brightness() -> None:
    # 0x8000 of 0xFFFF is half; cut off at 255 it would be white
    image = Image.new("I;16", (8, 8), 0x8000)
    assert opened(to_jpeg(saved(image, "PNG")).content).getpixel((4, 4)) == pytest.approx((128, 128, 128), abs=2)


def test_cmyk_becomes_rgb() -> None:
    content = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    made = opened(to_jpeg(content).content)
    assert made.mode == "RGB"
    assert made.getpixel((8, 8)) == pytest.approx((255, 0, 0), abs=4)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_it_is_turned_upright(format: str) -> None:
    image = Image.new("RGB", (24, 16), "black")
    image.paste((255, 255, 255), (0, 0, 12, 16))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that this has to be turned by 90 degrees clockwise
    made = opened(to_jpeg(saved(image, format, exif=exif)).content)
    assert made.size == (16, 24)
    assert made.getexif().get(0x0112, 1) == 1
    assert made.getpixel((8, 3)) == pytest.approx((255, 255, 255), abs=8)  # left has become top
    assert made.getpixel((8, 20)) == pytest.approx((0, 0, 0), abs=8)


def test_the_first_frame_of_several() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert opened(to_jpeg(content).content).getpixel((4, 4)) == pytest.approx((254, 0, 0), abs=3)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_one_is_refused(format: str, share: float) -> None:
    content = picture(format, (200, 120))
    cut = content[: int(len(content) * share)]
    for read in (check, to_jpeg):
        with pytest.raises(DataError, match="picture"):
            read(cut)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html><p>not found",
        b"\xff\xd8\xff",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        bytes(99),
    ],
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="picture"):
        to_jpeg(content)


@pytest.mark.parametrize("side", [8_001, 9_600, 60_000])  # over our limit; over Pillow's warning; over its error
def test_a_bomb_is_not_unpacked(side: int) -> None:
    assert side * side > MAX_PIXELS
    for read in (check, to_jpeg):
        with pytest.raises(DataError, match=f"{MAX_PIXELS} pixels"):
            read(_png_of(side, side))
