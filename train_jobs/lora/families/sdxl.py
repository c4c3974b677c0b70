"""SDXL: a diffusion U-Net with two CLIPs, told how each image was cropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from train_jobs.lora.families.autoencoder import KlFamily
from train_jobs.lora.families.base import Conditioning, Frame
from train_jobs.lora.families.objective import Diffusion


class Sdxl(KlFamily):
    """See Family."""

    name = "sdxl"
    title = "Stable Diffusion XL"
    pipeline = "StableDiffusionXLPipeline"
    denoiser = "unet"
    text_components = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    objective = Diffusion()
    targets = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
    key_format = "kohya"
    architecture = "stable-diffusion-xl-v1-base"
    base_version = "sdxl_base_v1-0"
    pixel_multiple = 64
    guidance = 5.0
    trainable_text_encoders = ("text_encoder", "text_encoder_2")
    uses_negative = True

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family."""
        embeds, _, pooled, _ = pipe.encode_prompt(
            prompt=list(prompts),
            device=pipe.text_encoder.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
        return [{"prompt_embeds": one, "pooled_prompt_embeds": pool} for one, pool in zip(embeds, pooled, strict=True)]

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family."""
        ids = [[*frame.original, *frame.crop, *frame.target] for frame in frames]
        added = {
            "text_embeds": conditioning["pooled_prompt_embeds"].to(noisy),
            "time_ids": torch.tensor(ids, dtype=noisy.dtype, device=noisy.device),
        }
        answer: Tensor = denoiser(
            noisy,
            times.to(noisy.device),
            encoder_hidden_states=conditioning["prompt_embeds"].to(noisy),
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        return answer
