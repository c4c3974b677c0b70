"""From an image's bytes to what the VAE takes."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from thornback.datasets import pictures
from train_jobs.lora.buckets import Cut


def to_pixels(image: Image.Image, place: Cut) -> Tensor:
    """[3, height, width] in -1..1: resized to cover the bucket, then cropped."""
    values = torch.from_numpy(np.asarray(_cut_out(image, place, Image.Resampling.LANCZOS), dtype=np.float32).copy())
    return values.permute(2, 0, 1) / 127.5 - 1.0


def to_mask(content: bytes, place: Cut, latent_size: tuple[int, int]) -> Tensor:
    """[1, height, width] of the latents in 0..1: the same cut as its image, then averaged down."""
    grey = pictures.to_rgb(content).convert("L")
    cropped = _cut_out(grey, place, Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.asarray(cropped, dtype=np.float32).copy())[None, None] / 255.0
    return functional.adaptive_avg_pool2d(values, latent_size)[0]


def _cut_out(image: Image.Image, place: Cut, resampling: Image.Resampling) -> Image.Image:
    # In one go: a long and narrow image would become gigabytes when it is resized as a whole.
    height, width = place.size
    return image.resize((width, height), resampling, box=place.box((image.height, image.width)))


def as_png(image: Image.Image) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
