"""Stable Diffusion 3.5: a rectified-flow transformer over whole latents, two CLIPs and T5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from train_jobs.lora.families.autoencoder import KlFamily
from train_jobs.lora.families.base import Conditioning, Frame
from train_jobs.lora.families.objective import FlowMatching


class Sd3(KlFamily):
    """See Family."""

    name = "sd3"
    title = "Stable Diffusion 3.5"
    pipeline = "StableDiffusion3Pipeline"
    denoiser = "transformer"
    text_components = (
        "text_encoder",
        "tokenizer",
        "text_encoder_2",
        "tokenizer_2",
        "text_encoder_3",
        "tokenizer_3",
    )
    objective = FlowMatching()
    targets = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
    key_format = "diffusers"
    architecture = "stable-diffusion-v3.5"
    base_version = "sd3"
    guidance = 4.5
    uses_negative = True

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family."""
        embeds, _, pooled, _ = pipe.encode_prompt(
            prompt=list(prompts),
            prompt_2=None,
            prompt_3=None,
            device=pipe.text_encoder.device,
            do_classifier_free_guidance=False,
            max_sequence_length=256,
        )
        return [{"prompt_embeds": one, "pooled_prompt_embeds": pool} for one, pool in zip(embeds, pooled, strict=True)]

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family."""
        answer: Tensor = denoiser(
            hidden_states=noisy,
            timestep=times.to(noisy) * 1000.0,
            encoder_hidden_states=conditioning["prompt_embeds"].to(noisy),
            pooled_projections=conditioning["pooled_prompt_embeds"].to(noisy),
            return_dict=False,
        )[0]
        return answer
