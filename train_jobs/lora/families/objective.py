"""What a denoiser is trained to predict: the velocity of a straight flow, or a diffusion's noise or v.

Flow matching (Lipman et al. 2022; Esser et al. 2024): x_t = (1 - t) x + t n, target n - x, t in 0..1.
Diffusion (Ho et al. 2020): x_t = a_t x + s_t n with the noise schedule of Stable Diffusion; min-SNR
weights (Hang et al. 2023) keep steps with little noise from dominating.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Timesteps = Literal["logit_normal", "sigmoid", "uniform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noised:
    """One training example of a batch."""

    noisy: Tensor  # as `latents`
    times: Tensor  # [batch]; see Family.predict
    target: Tensor  # as `latents`
    weight: Tensor  # [batch]; multiplies the loss


class Objective(ABC):
    """How noise is added and what is to be predicted."""

    @abstractmethod
    def draw_times(self, count: int, tokens: int, options: Mapping[str, Any], generator: torch.Generator) -> Tensor:
        """[count] times on the CPU.

        Args:
            count: how many.
            tokens: of one image, which shifts the noise of large images upwards.
            options: `timestep_sampling`, `timestep_shift` and `min_snr_gamma` of the configuration.
            generator: of the CPU.
        """

    @abstractmethod
    def even_times(self, count: int) -> Tensor:
        """[count] times spread evenly over the middle of the range, for a validation that is comparable."""

    @abstractmethod
    def noise(self, latents: Tensor, noise: Tensor, times: Tensor, scheduler: Mapping[str, Any]) -> Noised:
        """Mix.

        Args:
            latents: [batch, channels, height, width], normalised.
            noise: likewise, standard normal.
            times: [batch].
            scheduler: the pipeline's scheduler configuration, with the options of the configuration.
        """


class FlowMatching(Objective):
    """Rectified flow: FLUX, FLUX.2, SD 3.5, Qwen-Image, Z-Image, Chroma."""

    def draw_times(self, count: int, tokens: int, options: Mapping[str, Any], generator: torch.Generator) -> Tensor:
        """See Objective. Logit-normal by default; `sigmoid` is the same curve under ai-toolkit's name."""
        kind = options.get("timestep_sampling", "logit_normal")
        if kind == "uniform":
            times = torch.rand(count, generator=generator)
        else:
            times = torch.sigmoid(torch.randn(count, generator=generator))
        shift = options.get("timestep_shift")
        factor = math.exp(resolution_shift(tokens)) if shift == "auto" else float(shift or 1.0)
        return factor * times / (1.0 + (factor - 1.0) * times)

    def even_times(self, count: int) -> Tensor:
        """See Objective."""
        return (torch.arange(count) + 0.5) / count

    def noise(self, latents: Tensor, noise: Tensor, times: Tensor, scheduler: Mapping[str, Any]) -> Noised:
        """See Objective."""
        t = times.view(-1, 1, 1, 1).to(latents)
        return Noised(
            noisy=(1.0 - t) * latents + t * noise,
            times=times,
            target=noise - latents,
            weight=torch.ones_like(times),
        )


class Diffusion(Objective):
    """Stable Diffusion's discrete schedule: 1000 steps, epsilon or v as the model's scheduler says."""

    def draw_times(self, count: int, tokens: int, options: Mapping[str, Any], generator: torch.Generator) -> Tensor:
        """See Objective. Uniform: the schedule itself holds the curve."""
        return torch.randint(0, 1000, (count,), generator=generator).float()

    def even_times(self, count: int) -> Tensor:
        """See Objective."""
        return ((torch.arange(count) + 0.5) / count * 1000).floor()

    def noise(self, latents: Tensor, noise: Tensor, times: Tensor, scheduler: Mapping[str, Any]) -> Noised:
        """See Objective. The weight is min(SNR, gamma) / SNR, over SNR + 1 where v is predicted."""
        alphas = alphas_cumprod(scheduler).to(latents.device)[times.long()]
        signal, sigma = (value.sqrt().view(-1, 1, 1, 1).to(latents) for value in (alphas, 1.0 - alphas))
        is_v = scheduler.get("prediction_type", "epsilon") == "v_prediction"
        snr = alphas / (1.0 - alphas)
        gamma = scheduler.get("min_snr_gamma")
        weight = torch.ones_like(snr)
        if gamma:
            weight = snr.clamp(max=float(gamma)) / (snr + 1.0 if is_v else snr)
        return Noised(
            noisy=signal * latents + sigma * noise,
            times=times,
            target=signal * noise - sigma * latents if is_v else noise,
            weight=weight,
        )


def alphas_cumprod(scheduler: Mapping[str, Any]) -> Tensor:
    """[1000] share of the signal's variance at each step, from the scheduler's configuration."""
    start, end = float(scheduler.get("beta_start", 0.00085)), float(scheduler.get("beta_end", 0.012))
    steps = int(scheduler.get("num_train_timesteps", 1000))
    if scheduler.get("beta_schedule", "scaled_linear") == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(start, end, steps, dtype=torch.float64)
    return torch.cumprod(1.0 - betas, dim=0).float()


def resolution_shift(tokens: int) -> float:
    """The mu of FLUX's schedule: linear in the tokens of an image, 0.5 at 256 and 1.15 at 4096."""
    return 0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256)


def weighted_loss(prediction: Tensor, noised: Noised, mask: Tensor | None = None) -> Tensor:
    """[batch] mean squared errors in float32, weighted; a mask [batch, 1, height, width] weighs positions."""
    error = (prediction.float() - noised.target.float()) ** 2
    if mask is not None:
        # Divided by the mask's own mean, so that a small subject does not learn more slowly.
        error = error * mask / mask.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
    return error.mean(dim=(1, 2, 3)) * noised.weight.to(error)
