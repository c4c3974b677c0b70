"""Pictures for tests, made on the spot."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image


def picture(format: str = "PNG", size: tuple[int, int] = (24, 16), *, mode: str = "RGB", **options: Any) -> bytes:
    """A gradient, so that each place of it is known."""
    grey = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (grey, grey.rotate(180), grey)).convert(mode)
    return saved(image, format, **options)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """The bytes of an image."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    """An image from its bytes, read."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image
