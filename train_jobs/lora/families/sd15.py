"""Stable Diffusion 1.5: a diffusion U-Net with one CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from train_jobs.lora.families.autoencoder import KlFamily
from train_jobs.lora.families.base import Conditioning, Frame
from train_jobs.lora.families.objective import Diffusion


class Sd15(KlFamily):
    """See Family."""

    name = "sd15"
    title = "Stable Diffusion 1.5"
    pipeline = "StableDiffusionPipeline"
    denoiser = "unet"
    text_components = ("text_encoder", "tokenizer")
    objective = Diffusion()
    targets = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
    key_format = "kohya"
    architecture = "stable-diffusion-v1"
    base_version = "sd_v1"
    pixel_multiple = 64
    guidance = 7.5
    trainable_text_encoders = ("text_encoder",)
    uses_negative = True

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family."""
        embeds, _ = pipe.encode_prompt(
            list(prompts), pipe.text_encoder.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return [{"prompt_embeds": one} for one in embeds]

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family."""
        answer: Tensor = denoiser(
            noisy,
            times.to(noisy.device),
            encoder_hidden_states=conditioning["prompt_embeds"].to(noisy),
            return_dict=False,
        )[0]
        return answer
