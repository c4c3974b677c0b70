"""What the trainer has to know of a model family, and what most families share.

A family says which components there are, how text and images become what its denoiser is trained on,
what the denoiser predicts, which of its layers take a LoRA and under which names the LoRA is saved. It
knows no data set, no optimizer and no Ray.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from train_jobs.lora.families.objective import Objective

# What a prompt becomes: tensors without a batch dimension, under the names that the family chose.
Conditioning = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """The VAE's distribution over latents for a batch of images; each step draws a fresh sample."""

    mean: Tensor  # [batch, channels, height, width], not normalised
    std: Tensor  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How a training image was cut out of its original, in pixels; SDXL is told."""

    original: tuple[int, int]  # height, width before the crop, after EXIF rotation
    crop: tuple[int, int]  # top, left, in the resized image
    target: tuple[int, int]  # height, width of what is trained on


class Family(ABC):
    """One model family. Stateless: components are passed in."""

    name: ClassVar[str]
    title: ClassVar[str]
    pipeline: ClassVar[str]  # the class in diffusers
    denoiser: ClassVar[Literal["transformer", "unet"]]
    text_components: ClassVar[tuple[str, ...]]  # of the pipeline: what turns a prompt into tensors
    objective: ClassVar[Objective]
    targets: ClassVar[tuple[str, ...]]  # names of layers, by their ends, that take a LoRA
    key_format: ClassVar[Literal["diffusers", "kohya"]]
    architecture: ClassVar[str]  # modelspec.architecture, before the slash
    base_version: ClassVar[str]  # kohya's ss_base_model_version
    pixel_multiple: ClassVar[int] = 16  # height and width of an image must be multiples of this
    guidance: ClassVar[float] = 3.5  # when a sample is drawn
    sample_steps: ClassVar[int] = 28
    trainable_text_encoders: ClassVar[tuple[str, ...]] = ()  # that may take a LoRA of their own
    uses_negative: ClassVar[bool] = False  # samples are drawn with classifier-free guidance

    @abstractmethod
    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """One conditioning per prompt.

        Args:
            pipe: the pipeline with its text components on their device and nothing else.
            prompts: captions as they are to be learned.
        """

    @abstractmethod
    def encode_images(self, vae: nn.Module, pixels: Tensor) -> Posterior:
        """The VAE's posterior.

        Args:
            vae: on its device.
            pixels: [batch, 3, height, width] in -1..1, on the VAE's device and in its precision.
        """

    @abstractmethod
    def normalise(self, latents: Tensor, statistics: Mapping[str, Any]) -> Tensor:
        """Latents as drawn from the posterior -> what the denoiser works on: [batch, channels, height, width]."""

    @abstractmethod
    def statistics(self, vae: nn.Module) -> Mapping[str, Any]:
        """What `normalise` needs to know of the VAE once it is gone; JSON-ready."""

    @abstractmethod
    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """What the denoiser says of noisy latents.

        Args:
            denoiser: with its LoRA, wrapped or not.
            noisy: [batch, channels, height, width], normalised.
            times: [batch]; sigma in 0..1 for flow matching, the step in 0..999 for diffusion.
            conditioning: collated, on the device.
            frames: how each image was cut.

        Returns:
            [batch, channels, height, width]: the velocity, noise or v, as the objective asks.
        """

    def sample_arguments(self, positive: Conditioning, negative: Conditioning | None) -> dict[str, Any]:
        """What the pipeline's call takes instead of a prompt, with a batch dimension of one."""
        arguments = {name: tensor[None] for name, tensor in positive.items()}
        if negative is not None:
            arguments |= {f"negative_{name}": tensor[None] for name, tensor in negative.items()}
        return arguments

    def guidance_arguments(self, guidance: float) -> dict[str, float]:
        """How the pipeline's call is told how closely to follow the prompt."""
        return {"guidance_scale": guidance}

    def collate(self, conditionings: Sequence[Conditioning]) -> dict[str, Tensor]:
        """A batch of conditionings; sequences of different lengths are padded with zeros at their end."""
        return {name: _stack([item[name] for item in conditionings]) for name in conditionings[0]}

    def config_of(self, denoiser: nn.Module) -> Any:
        """The denoiser's own configuration, through DDP, FSDP, compile and PEFT."""
        return unwrapped(denoiser).config


def unwrapped(module: nn.Module) -> Any:
    """The module below DDP, torch.compile and PEFT."""
    inner: Any = module
    while True:
        for name in ("module", "_orig_mod", "base_model"):
            child = inner.__dict__.get("_modules", {}).get(name)
            if child is not None and not hasattr(inner, "config"):
                inner = child
                break
        else:
            return inner


def pad_to(tensor: Tensor, length: int) -> Tensor:
    """Zeros after the end of the first dimension, up to `length`."""
    missing = length - tensor.shape[0]
    return tensor if missing == 0 else torch.cat([tensor, tensor.new_zeros(missing, *tensor.shape[1:])])


def pack(latents: Tensor) -> Tensor:
    """[batch, channels, height, width] -> [batch, height/2 · width/2, channels · 4]: 2 x 2 patches in a row."""
    batch, channels, height, width = latents.shape
    patches = latents.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(batch, (height // 2) * (width // 2), channels * 4)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`; height and width are of the latents."""
    batch, _, features = tokens.shape
    patches = tokens.view(batch, height // 2, width // 2, features // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(batch, features // 4, height, width)


def grid_ids(height: int, width: int, *, device: torch.device) -> Tensor:
    """[height · width, 3]: zero, row, column of each token, as FLUX's rotary embedding reads them."""
    rows, columns = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).float()


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    if len({tensor.shape for tensor in tensors}) == 1:
        return torch.stack(list(tensors))
    longest = max(tensor.shape[0] for tensor in tensors)
    return torch.stack([pad_to(tensor, longest) for tensor in tensors])
