"""Pictures from anywhere: checked, and made into JPEG where that is what the layout asks for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from thornback.errors import DataError

MAX_PIXELS = 64_000_000  # 8,000 x 8,000; three bytes each when unpacked
MAX_FILE_BYTES = 100_000_000
QUALITY = 95
_THUMBNAIL_QUALITY = 80
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

_ORIENTATION_TAG = 0x0112
_TURNED = frozenset({5, 6, 7, 8})  # orientations that swap width and height
_TRANSPARENT = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that can be read to its last line."""

    format: str  # as Pillow names it: JPEG, PNG, …
    width: int  # pixels
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """A picture as JPEG."""

    content: bytes
    width: int  # pixels
    height: int


def check(content: bytes) -> Picture:
    """Read a picture to its end.

    Raises:
        DataError: no picture, cut off, or more pixels than are taken.
    """
    with _opened(content) as image:
        size = image.size
        # A JPEG of an eighth of the size takes an eighth of the time and all of the file.
        image.draft("RGB", _eighth(size))
        image.load()
        return Picture(format=str(image.format), width=size[0], height=size[1])


def to_jpeg(content: bytes) -> Jpeg:
    """The picture as JPEG: upright, without transparency (white behind it), 8 bits, RGB; of several frames the first.

    A JPEG that is all this already is kept to the byte.

    Raises:
        DataError: no picture, cut off, or more pixels than are taken.
    """
    with _opened(content) as image:
        image.load()
        if image.format == "JPEG" and image.mode in ("RGB", "L") and _is_upright(image):
            return Jpeg(content=content, width=image.width, height=image.height)
        profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P") else None
        plain = _as_rgb(ImageOps.exif_transpose(image))
        out = io.BytesIO()
        plain.save(out, "JPEG", quality=QUALITY, icc_profile=profile, optimize=True)
    return Jpeg(content=out.getvalue(), width=plain.width, height=plain.height)


def upright_size(content: bytes) -> tuple[int, int]:
    """Width and height as people see the picture; reads it to its end. Raises DataError as `check` does."""
    with _opened(content) as image:
        width, height = image.size
        is_turned = image.getexif().get(_ORIENTATION_TAG, 1) in _TURNED
        image.draft("RGB", _eighth(image.size))
        image.load()
    return (height, width) if is_turned else (width, height)


def to_rgb(content: bytes) -> Image.Image:
    """The picture upright, without transparency (white behind it), 8 bits, RGB; of several frames the first.

    Raises:
        DataError: no picture, cut off, or more pixels than are taken.
    """
    with _opened(content) as image:
        image.load()
        return _as_rgb(ImageOps.exif_transpose(image))


def thumbnail(content: bytes, side: int) -> bytes:
    """A JPEG of at most `side` pixels on the longer side. Raises DataError as `to_rgb` does."""
    with _opened(content) as image:
        scale = side / max(image.size)
        # A JPEG is decoded at the next size above, which takes a third of the time.
        image.draft("RGB", (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        image.load()
        small = _as_rgb(ImageOps.exif_transpose(image))
    small.thumbnail((side, side))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_THUMBNAIL_QUALITY)
    return out.getvalue()


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"the picture has {len(content)} bytes; at most {MAX_FILE_BYTES} are taken")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"the picture is {image.width} x {image.height}; at most {MAX_PIXELS} pixels are taken")
            yield image
    except UnidentifiedImageError:
        raise DataError(f"it is no picture of a kind that is read here ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"the picture has more than the {MAX_PIXELS} pixels that are taken") from None
    # What Pillow's decoders raise on broken files: truncation is an OSError, chunks SyntaxError, AVIF RuntimeError.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError, RuntimeError) as error:
        raise DataError(f"the picture cannot be read: {error}") from error


def _eighth(size: tuple[int, int]) -> tuple[int, int]:
    return max(size[0] // 8, 1), max(size[1] // 8, 1)


def _is_upright(image: Image.Image) -> bool:
    return bool(image.getexif().get(_ORIENTATION_TAG, 1) == 1)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        # 16 bits a pixel; Pillow would cut off what is above 255
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(white, layers).convert("RGB")
    return image.convert("RGB")
