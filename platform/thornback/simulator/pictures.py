"""Pictures that depend on prompt and seed: soft colours with the prompt written on them."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from typing import Any

SUFFIXES: Mapping[str, str] = {"webp": "webp", "jpg": "jpg", "jpeg": "jpg", "png": "png"}
CONTENT_TYPES: Mapping[str, str] = {
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
}
_PILLOW = {"webp": "WEBP", "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}
_FAL_SIZES: Mapping[str, tuple[int, int]] = {
    "square": (512, 512),
    "square_hd": (1024, 1024),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_CELLS = 4


def picture(prompt: str, seed: int, size: tuple[int, int], format: str, *, quality: int = 80) -> bytes:
    """An encoded picture; equal arguments give equal bytes."""
    from PIL import Image, ImageDraw

    rng = random.Random(f"{prompt}|{seed}")  # noqa: S311 - colours
    cells = bytes(rng.randrange(40, 216) for _ in range(_CELLS * _CELLS * 3))
    image = Image.frombytes("RGB", (_CELLS, _CELLS), cells).resize(size, Image.Resampling.BILINEAR)
    ImageDraw.Draw(image).text((16, 16), f"{prompt[:80]}\nseed {seed}", fill=(255, 255, 255))
    out = io.BytesIO()
    image.save(out, _PILLOW[format], **_options(format, quality))
    return out.getvalue()


def _options(format: str, quality: int) -> dict[str, Any]:
    if format == "png":
        return {"compress_level": 1}
    return {"quality": quality, "method": 0} if format == "webp" else {"quality": quality}


def replicate_size(inputs: Mapping[str, Any]) -> tuple[int, int]:
    """What the inputs of a model at Replicate ask for: width, height, in multiples of 16."""
    if isinstance(inputs.get("width"), int) and isinstance(inputs.get("height"), int):
        return inputs["width"], inputs["height"]
    across, _, down = str(inputs.get("aspect_ratio", "1:1")).partition(":")
    ratio = int(across) / int(down) if across.isdigit() and down.isdigit() and int(down) else 1.0
    pixels = 2**18 if str(inputs.get("megapixels", "1")) == "0.25" else 2**20
    return _sixteen((pixels * ratio) ** 0.5), _sixteen((pixels / ratio) ** 0.5)


def fal_size(inputs: Mapping[str, Any]) -> tuple[int, int]:
    """What the inputs of a model at fal ask for: width, height."""
    wanted = inputs.get("image_size", "landscape_4_3")
    if isinstance(wanted, Mapping):
        return int(wanted.get("width", 512)), int(wanted.get("height", 512))
    return _FAL_SIZES.get(str(wanted), _FAL_SIZES["landscape_4_3"])


def _sixteen(side: float) -> int:
    return max(round(side / 16) * 16, 16)
