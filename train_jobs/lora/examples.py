"""What a run trains on, as the loop sees it: shots of images, kept encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from train_jobs.lora.families.base import Conditioning, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One image in one bucket; it may be kept in several crops."""

    image: str  # SHA-256 of the file, hex
    name: str  # for people
    caption: str  # with the trigger word in its place
    size: tuple[int, int]  # height, width of the bucket, in pixels
    crops: int = 1
    weight: float = 1.0  # of its loss; regularisation images have their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """One crop of a shot as the VAE saw it."""

    mean: Tensor  # [channels, height, width], not normalised
    std: Tensor  # likewise
    frame: Frame
    mask: Tensor | None = None  # [1, height, width] in 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """The shots of a run."""

    train: Sequence[Shot]
    val: Sequence[Shot]
    sha256: str  # of all images and captions: the same data has the same


class Encoded(Protocol):
    """Where shots are kept encoded. Reading one twice gives the same bits."""

    statistics: Mapping[str, Any]  # what the family needs to normalise latents

    def latents(self, shot: Shot, crop: int) -> Latents:
        """One crop of a shot, on the CPU."""
        ...

    def text(self, caption: str) -> Conditioning:
        """An encoded caption, on the CPU. The empty caption and all sample prompts are there too."""
        ...
