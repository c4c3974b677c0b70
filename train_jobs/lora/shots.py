"""From a dataset's images to the shots of a run: buckets, what is held out, what is too small. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thornback.datasets.captioned import CaptionedImage, ImageIndex
from thornback.errors import DataError
from thornback.jobs.own_lora import LoraConfig
from train_jobs.lora.buckets import bucket_for, bucket_sizes, is_blown_up
from train_jobs.lora.examples import Examples, Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the images."""

    images: int  # to train on
    held_out: int
    regularisation: int
    buckets: Mapping[str, int]  # "height x width" -> shots
    too_small: Mapping[str, str]  # name -> why it is trained at fewer resolutions, or at none
    dropped: Mapping[str, str]
    duplicates: Mapping[str, str] = field(default_factory=dict)  # name -> the one that is taken for it

    def lines(self) -> list[str]:
        """For the log."""
        told = [f"{self.images} images to train on, {self.held_out} held out"]
        if self.regularisation:
            told.append(f"{self.regularisation} regularisation images")
        told += [f"bucket {size}: {count}" for size, count in self.buckets.items()]
        told += [f"dropped {name}: {why}" for name, why in self.dropped.items()]
        told += [f"{name}: the same file as {other}, taken once" for name, other in self.duplicates.items()]
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
    too_small: dict[str, str] = {}
    shots = {image.sha256: _shots(image, config, multiple, too_small, weight=1.0) for image in index.images}
    usable = sorted(sha256 for sha256, mine in shots.items() if mine)
    if not usable:
        raise DataError.field(
            "config.resolution", "every image is smaller than its bucket: lower resolution or set upscale"
        )
    held_out = _held_out(usable, config)
    # By names and not by hashes, so that one changed image leaves the others in their places.
    images = [image.sha256 for image in sorted(index.images, key=lambda image: image.name) if shots[image.sha256]]
    train = [shot for sha256 in images if sha256 not in held_out for shot in shots[sha256]]
    # The largest says the most, and one is enough.
    val = [shots[sha256][-1] for sha256 in images if sha256 in held_out]
    extra: list[CaptionedImage] = []
    if regularisation is not None:
        extra = [image for image in regularisation.images if image.sha256 not in shots]
    regular = [_shots(image, config, multiple, too_small, weight=config.regularisation_weight) for image in extra]
    train += [shot for mine in regular for shot in mine]
    buckets = Counter(shot.size for shot in train)
    report = Report(
        images=len(images) - len(held_out),
        held_out=len(held_out),
        regularisation=sum(bool(mine) for mine in regular),
        buckets={f"{size[0]} x {size[1]}": count for size, count in sorted(buckets.items())},
        too_small=too_small,
        dropped=index.dropped,
        duplicates=index.duplicates,
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


def _held_out(images: Sequence[str], config: LoraConfig) -> set[str]:
    """Those whose hash with the seed comes first: an image more or less moves hardly any other."""
    if config.validation_split == 0.0 or len(images) < 2:
        return set()
    count = min(len(images) - 1, max(1, round(len(images) * config.validation_split)))
    return set(
        sorted(images, key=lambda sha256: hashlib.sha256(f"{config.seed} {sha256}".encode()).hexdigest())[:count]
    )
