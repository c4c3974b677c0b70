"""The network: timm's ConvNeXt on one-channel spectrograms, with the front end before it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError  # what torch raises for a file with more than tensors
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from thornback.artifacts.files import locate
from thornback.errors import WeightsUnavailable
from thornback.jobs.convnext import TrainingConfig
from train_jobs.convnext.frontend import LogMel


def build_backbone(
    config: TrainingConfig,
    classes: int,
    *,
    pretrained_uri: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A ConvNeXt: [batch, 1, mels, frames] -> logits [batch, classes].

    Args:
        config: architecture, dropout, whether the backbone is frozen.
        classes: how many the head tells apart.
        pretrained_uri: a file with timm's weights for RGB images. Its stem is summed over the colours.
        model_kwargs: passed on to timm.
    """
    options: dict[str, Any] = {"in_chans": 1, "num_classes": classes, "drop_rate": config.dropout_rate}
    options |= model_kwargs or {}
    if pretrained_uri is None:
        backbone: nn.Module = timm.create_model(config.model_architecture, pretrained=False, **options)
    else:
        backbone = _pretrained(config.model_architecture, pretrained_uri, options)
    if config.freeze_backbone:
        freeze_all_but_head(backbone)
    return backbone


def _pretrained(architecture: str, uri: str, options: Mapping[str, Any]) -> nn.Module:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PurePosixPath(uri.partition("?")[0]).name
        file.write_bytes(locate(uri).read_bytes())
        overlay = {"file": str(file), "hf_hub_id": None}
        try:
            backbone: nn.Module = timm.create_model(
                architecture, pretrained=True, pretrained_cfg_overlay=overlay, **options
            )
        except (RuntimeError, KeyError, SafetensorError, UnpicklingError) as error:
            text = " ".join(str(error).split())[:300]
            raise WeightsUnavailable(f"the pretrained weights do not fit {architecture}: {text}") from error
    return backbone


def freeze_all_but_head(backbone: nn.Module) -> None:
    """Only the classifier learns."""
    head = backbone.get_classifier()  # type: ignore[operator]  # timm's models have it, nn.Module says otherwise
    backbone.requires_grad_(False)
    head.requires_grad_(True)


class Classifier(nn.Module):
    """What is shipped: [batch, samples] in about ±1 -> probabilities [batch, classes]."""

    def __init__(self, frontend: LogMel, backbone: nn.Module) -> None:
        super().__init__()
        self.frontend = frontend
        self.backbone = backbone

    def forward(self, waveform: Tensor) -> Tensor:
        """See the class."""
        return torch.softmax(self.backbone(self.frontend(waveform)), dim=1)


def parameter_groups(backbone: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay for matrices and kernels; none for biases, norms and layer scales, which are vectors."""
    learning = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in learning if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
