"""Images and latents of the families with diffusers' `AutoencoderKL`: one scale, and mostly one shift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from train_jobs.lora.families.base import Family, Posterior


class KlFamily(Family):
    """latents · normalised = (drawn - shift) · scale."""

    def encode_images(self, vae: nn.Module, pixels: Tensor) -> Posterior:
        """See Family."""
        model: Any = vae
        distribution = model.encode(pixels).latent_dist
        return Posterior(mean=distribution.mean, std=distribution.std)

    def statistics(self, vae: nn.Module) -> Mapping[str, Any]:
        """See Family."""
        config: Any = vae.config
        shift = getattr(config, "shift_factor", None)
        return {"shift": float(shift or 0.0), "scale": float(config.scaling_factor)}

    def normalise(self, latents: Tensor, statistics: Mapping[str, Any]) -> Tensor:
        """See Family."""
        shift, scale = float(statistics["shift"]), float(statistics["scale"])
        return (latents - shift) * scale
