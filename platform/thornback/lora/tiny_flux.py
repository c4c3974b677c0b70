"""A FLUX.1 so small that a CPU trains a LoRA of it in seconds: random weights, built from configuration.

It draws noise whatever it is trained on. It is there to try everything around a model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_tiny_flux(folder: Path, *, seed: int = 0) -> Path:
    """Save the pipeline into `folder`, as a hub repository would hold it."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(seed)
    flux1().save_pretrained(folder)
    return folder


def byte_letters() -> list[str]:
    """The 256 characters that byte-level tokenizers write bytes as."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]


def clip_tokenizer(length: int = 77) -> Any:
    """Of single letters."""
    from transformers import CLIPTokenizer

    letters = byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: place for place, word in enumerate(words)}, merges=[], model_max_length=length)


def t5_tokenizer(length: int = 32) -> Any:
    """Of single letters."""
    from transformers import T5Tokenizer

    words = ["<pad>", "</s>", "<unk>", "▁", *(chr(code) for code in range(33, 127))]
    pieces = [(word, -1.0 * place) for place, word in enumerate(words)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=length)


def clip(projection: bool = False, *, hidden: int = 32) -> Any:
    """The first text encoder; with `projection` as SDXL has its second."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=514,
        hidden_size=hidden,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=hidden,
        max_position_embeddings=77,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def t5() -> Any:
    """The second text encoder."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=128, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, relative_attention_num_buckets=8
    )
    return T5EncoderModel(config).eval()


def vae(channels: int, **changes: Any) -> Any:
    """Between pictures and latents of so many channels."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=64,
        **changes,
    ).eval()


def flow_scheduler(**changes: Any) -> Any:
    """Of flow matching."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**changes)


def flux1() -> Any:
    """The whole pipeline."""
    from diffusers import FluxPipeline, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return FluxPipeline(
        scheduler=flow_scheduler(use_dynamic_shifting=True),
        vae=vae(4, shift_factor=0.1, scaling_factor=0.36, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=transformer,
    )
