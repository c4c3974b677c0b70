"""Waveforms to normalised log-mel spectrograms, batched, on the device that trains.

Computed in float32 whatever the rest of the network uses: autocast would round powers to bf16.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from thornback.jobs.convnext import TrainingConfig

TOP_DB = 80.0  # softer parts of a clip than this below its loudest are cut off
_EPSILON = 1e-5


class LogMel(nn.Module):
    """[batch, samples] -> [batch, 1, n_mels, frames], each clip with mean 0 and deviation 1.

    The level of a recording says nothing about its class, and a network that starts from ImageNet
    weights expects inputs of about this size.
    """

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # Said in our own words by `empty_filters`.
            warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
            self.mel = MelSpectrogram(
                sample_rate=config.sample_rate,
                n_fft=config.n_fft,
                hop_length=config.hop_length,
                n_mels=config.n_mels,
            )
        self.decibels = AmplitudeToDB(stype="power", top_db=TOP_DB)

    def forward(self, wave: Tensor) -> Tensor:
        """See the class."""
        with torch.autocast(device_type=wave.device.type, enabled=False):
            # With the channel axis the cut at `top_db` is per clip; without it the loudest clip of the
            # batch would decide for all.
            decibels = self.decibels(self.mel(wave.float()).unsqueeze(1))
            mean = decibels.mean(dim=(2, 3), keepdim=True)
            deviation = (decibels - mean).square().mean(dim=(2, 3), keepdim=True).sqrt()
            normal: Tensor = (decibels - mean) / (deviation + _EPSILON)
        return normal

    @property
    def empty_filters(self) -> int:
        """Mel bands so narrow that no frequency of the FFT falls into them; they stay constant."""
        return int((self.mel.mel_scale.fb.amax(dim=0) == 0).sum())
