"""Base models for the LoRA benchmarks: random weights, thin encoders, nothing downloaded.

`medium` is the family's architecture at 30 to 40 million weights, so that a CPU computes most of a step;
`full` is the published one. Encoders and VAE are thin in both: their outputs have the published shapes, and
no figure here is about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tests.fixtures.tiny_models import build

FLUX1_MEDIUM = {
    "num_layers": 2,
    "num_single_layers": 4,
    "attention_head_dim": 64,
    "num_attention_heads": 8,
    "axes_dims_rope": (16, 24, 24),
}
FLUX1_FULL = {
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "axes_dims_rope": (16, 56, 56),
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
}
SDXL_MEDIUM = {
    "block_out_channels": (96, 192),
    "attention_head_dim": (3, 6),
    "transformer_layers_per_block": (1, 6),
}
SDXL_FULL = {
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "norm_num_groups": 32,
    "cross_attention_dim": 2048,
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
DENOISERS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("flux1", "medium"): FLUX1_MEDIUM,
    ("flux1", "full"): FLUX1_FULL,
    ("sdxl", "medium"): SDXL_MEDIUM,
    ("sdxl", "full"): SDXL_FULL,
}


def build_base(family: str, size: str, folder: Path) -> Path:
    """Save a pipeline as a hub repository holds it; a full one in bf16, made on the GPU where there is one."""
    build(family, folder)
    if size == "tiny":
        return folder
    if size == "full":
        widen = _widen_flux1 if family == "flux1" else _widen_sdxl
        widen(folder)
    _replace_denoiser(family, folder, DENOISERS[family, size], is_full=size == "full")
    return folder


def _replace_denoiser(family: str, folder: Path, changes: Mapping[str, Any], *, is_full: bool) -> None:
    import diffusers

    name = "transformer" if family == "flux1" else "unet"
    kind: Any = diffusers.FluxTransformer2DModel if family == "flux1" else diffusers.UNet2DConditionModel
    config = {**kind.load_config(folder / name), **changes}
    # Nobody wants to wait for a CPU to draw twelve billion numbers.
    with torch.device("cuda" if is_full and torch.cuda.is_available() else "cpu"):
        torch.set_default_dtype(torch.bfloat16 if is_full else torch.float32)
        try:
            torch.manual_seed(0)
            denoiser = kind.from_config(config)
        finally:
            torch.set_default_dtype(torch.float32)
    denoiser.save_pretrained(folder / name)


def _widen_flux1(folder: Path) -> None:
    """16 latent channels, a pooled CLIP vector of 768, 512 tokens of 4096 from T5."""
    from transformers import CLIPTextModel, T5EncoderModel, T5Tokenizer

    _widen_vae(folder, channels=16)
    _widen_text(CLIPTextModel, folder / "text_encoder", hidden_size=768)
    _widen_text(T5EncoderModel, folder / "text_encoder_2", d_model=4096)
    tokenizer = T5Tokenizer.from_pretrained(folder / "tokenizer_2", model_max_length=512)
    tokenizer.save_pretrained(folder / "tokenizer_2")


def _widen_sdxl(folder: Path) -> None:
    """77 tokens of 768 + 1280 features, and a pooled vector of 1280."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    _widen_text(CLIPTextModel, folder / "text_encoder", hidden_size=768)
    _widen_text(CLIPTextModelWithProjection, folder / "text_encoder_2", hidden_size=1280, projection_dim=1280)


def _widen_text(kind: Any, folder: Path, **changes: Any) -> None:
    config = kind.config_class.from_pretrained(folder)
    for name, value in changes.items():
        setattr(config, name, value)
    kind(config).save_pretrained(folder)


def _widen_vae(folder: Path, *, channels: int) -> None:
    from diffusers import AutoencoderKL

    config: Any = AutoencoderKL.load_config(folder / "vae")
    AutoencoderKL.from_config({**config, "latent_channels": channels}).save_pretrained(folder / "vae")
