"""From a dataset's images to the shots of a run: buckets, what is held out, what is too small. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thornback.datasets.captioned import CaptionedImage, ImageIndex
from thornback.errors import DataError
from thornback.jobs.own_lora import LoraConfig
from train_jobs.lora.buckets import bucket_for, bucket_sizes, is_blown_up
from train_jobs.lora.examples import Examples, Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the images."""

    images: int
    held_out: int
    regularisation: int
    buckets: Mapping[str, int]  # "height x width" -> shots
    too_small: Mapping[str, str]  # name -> why it is trained at fewer resolutions, or at none
    dropped: Mapping[str, str]

    def lines(self) -> list[str]:
        """For the log."""
        told = [f"{self.images} images to train on, {self.held_out} held out"]
        if self.regularisation:
            told.append(f"{self.regularisation} regularisation images")
        told += [f"bucket {size}: {count}" for size, count in self.buckets.items()]
        told += [f"dropped {name}: {why}" for name, why in self.dropped.items()]
        told += [f"{name}: {why}" for name, why in self.too_small.items()]
        return told


def make_examples(
    config: LoraConfig, index: ImageIndex, regularisation: ImageIndex | None, *, multiple: int
) -> tuple[Examples, Report]:
    """Shots of all images.

    Args:
        config: resolutions, crops, the share held out.
        index: of the dataset.
        regularisation: of the regularisation images, where there are some.
        multiple: of what the sides of a bucket have to be multiples.

    Raises:
        DataError: no image is large enough for any bucket.
    """
    images = sorted({image.sha256: image for image in index.images}.values(), key=lambda image: image.name)
    held_out = _held_out(images, config)
    too_small: dict[str, str] = {}
    train: list[Shot] = []
    val: list[Shot] = []
    for image in images:
        shots = _shots(image, config, multiple, too_small, weight=1.0)
        if image.sha256 in held_out:
            val += shots[-1:]  # the largest says the most, and one is enough
        else:
            train += shots
    extra = [] if regularisation is None else list(regularisation.images)
    for image in extra:
        train += _shots(image, config, multiple, too_small, weight=config.regularisation_weight)
    if not train:
        raise DataError.field(
            "config.resolution", "every image is smaller than its bucket: lower resolution or set upscale"
        )
    buckets: dict[str, int] = {}
    for shot in train:
        buckets[f"{shot.size[0]} x {shot.size[1]}"] = buckets.get(f"{shot.size[0]} x {shot.size[1]}", 0) + 1
    report = Report(
        images=len(images) - len(held_out),
        held_out=len(held_out),
        regularisation=len(extra),
        buckets=dict(sorted(buckets.items())),
        too_small=too_small,
        dropped=index.dropped,
    )
    return Examples(train=train, val=val, sha256=index.sha256), report


def _shots(
    image: CaptionedImage, config: LoraConfig, multiple: int, too_small: dict[str, str], *, weight: float
) -> list[Shot]:
    shots: dict[tuple[int, int], Shot] = {}
    left_out: list[int] = []
    for resolution in sorted(set(config.resolution)):
        size = bucket_for(image.height, image.width, bucket_sizes(resolution, multiple))
        if is_blown_up(image.height, image.width, size) and not config.upscale:
            left_out.append(resolution)
            continue
        shots[size] = Shot(
            image=image.sha256,
            name=image.name,
            caption=image.caption,
            size=size,
            crops=config.crops,
            weight=weight,
        )
    if left_out:
        where = ", ".join(map(str, left_out))
        reach = "it is not trained on" if not shots else f"it is not trained at {where}"
        too_small[image.name] = f"{image.width} x {image.height} is smaller than a bucket of {where}: {reach}"
    return [shots[size] for size in sorted(shots, key=lambda size: size[0] * size[1])]


def _held_out(images: Sequence[CaptionedImage], config: LoraConfig) -> set[str]:
    if config.validation_split == 0.0 or len(images) < 2:
        return set()
    count = min(len(images) - 1, max(1, round(len(images) * config.validation_split)))
    order = np.random.default_rng([config.seed, len(images)]).permutation(len(images))
    return {images[place].sha256 for place in order[:count]}
