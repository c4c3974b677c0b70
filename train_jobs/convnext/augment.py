"""Changes to a training batch: SpecAugment's masks and mixup. Both draw from torch's present generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import FrequencyMasking, TimeMasking

_MASKED_SHARE = 0.15  # of the mels and of the frames, at most, by one mask


class SpecAugment(nn.Module):
    """One band of mels and one stretch of time set to the mean, for each clip its own.

    [batch, 1, mels, frames] in and out.
    """

    def __init__(self, mels: int, frames: int) -> None:
        super().__init__()
        # `iid_masks`: without it the whole batch would share one mask.
        self.masks = nn.Sequential(
            FrequencyMasking(max(1, int(mels * _MASKED_SHARE)), iid_masks=True),
            TimeMasking(max(1, int(frames * _MASKED_SHARE)), iid_masks=True),
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Mask a batch."""
        masked: Tensor = self.masks(spectrogram)  # the mean is 0, which is what masks write
        return masked


def mixup(wave: Tensor, weight: Tensor, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
    """Blend each waveform with another of the batch.

    Args:
        wave: [batch, samples].
        weight: [batch], 0 for rows that hold no clip; those are nobody's partner.
        alpha: of Beta(alpha, alpha), the distribution of the blend (Zhang et al. 2018).

    Returns:
        The blend, the partner's index [batch], and the share of the row's own clip (a scalar).
    """
    concentration = torch.tensor(alpha, device=wave.device)
    share = torch.distributions.Beta(concentration, concentration).sample()
    order = torch.randperm(len(wave), device=wave.device)
    own = torch.arange(len(wave), device=wave.device)
    partner = torch.where(weight[order] > 0, order, own)
    return share * wave + (1 - share) * wave[partner], partner, share
