"""FLUX.1 [dev] and [schnell]: a rectified-flow transformer over packed latents, CLIP and T5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from train_jobs.lora.families.autoencoder import KlFamily
from train_jobs.lora.families.base import Conditioning, Frame, grid_ids, pack, unpack
from train_jobs.lora.families.objective import FlowMatching

TRAINING_GUIDANCE = 1.0  # what a guidance-distilled model is told while it is trained


class Flux1(KlFamily):
    """See Family."""

    name = "flux1"
    title = "FLUX.1"
    pipeline = "FluxPipeline"
    denoiser = "transformer"
    text_components: ClassVar[tuple[str, ...]] = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    objective = FlowMatching()
    # Attention and feed-forward of both kinds of blocks.
    targets = (
        "to_q",
        "to_k",
        "to_v",
        "to_out.0",
        "add_q_proj",
        "add_k_proj",
        "add_v_proj",
        "to_add_out",
        "ff.net.0.proj",
        "ff.net.2",
        "ff_context.net.0.proj",
        "ff_context.net.2",
        "proj_mlp",
        "proj_out",
    )
    key_format = "diffusers"
    architecture = "flux-1-dev"
    base_version = "flux1"

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family."""
        embeds, pooled, _ = pipe.encode_prompt(
            prompt=list(prompts),
            prompt_2=None,
            device=pipe.text_encoder.device,
            max_sequence_length=pipe.tokenizer_2.model_max_length if pipe.tokenizer_2.model_max_length < 512 else 512,
        )
        return [{"prompt_embeds": one, "pooled_prompt_embeds": pool} for one, pool in zip(embeds, pooled, strict=True)]

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family."""
        height, width = noisy.shape[-2:]
        text = conditioning["prompt_embeds"].to(noisy)
        guidance = None
        if self.config_of(denoiser).guidance_embeds:
            guidance = torch.full((noisy.shape[0],), TRAINING_GUIDANCE, device=noisy.device)
        tokens = denoiser(
            hidden_states=pack(noisy),
            timestep=times.to(noisy),
            guidance=guidance,
            pooled_projections=conditioning["pooled_prompt_embeds"].to(noisy),
            encoder_hidden_states=text,
            txt_ids=torch.zeros(text.shape[1], 3, device=noisy.device),
            img_ids=grid_ids(height // 2, width // 2, device=noisy.device),
            return_dict=False,
        )[0]
        return unpack(tokens, height, width)
