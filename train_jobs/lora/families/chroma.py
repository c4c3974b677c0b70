"""Chroma: FLUX without guidance distillation, T5 alone with a mask over its padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from train_jobs.lora.families.base import Conditioning, Frame, grid_ids, pack, unpack
from train_jobs.lora.families.flux1 import Flux1


class Chroma(Flux1):
    """See Family."""

    name = "chroma"
    title = "Chroma"
    pipeline = "ChromaPipeline"
    text_components = ("text_encoder", "tokenizer")
    architecture = "chroma"
    base_version = "chroma"
    guidance = 5.0
    sample_steps = 35
    uses_negative = True

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family."""
        embeds, _, mask, *_ = pipe.encode_prompt(
            prompt=list(prompts),
            device=pipe.text_encoder.device,
            do_classifier_free_guidance=False,
            max_sequence_length=min(pipe.tokenizer.model_max_length, 512),
        )
        return [{"prompt_embeds": one, "prompt_attention_mask": own} for one, own in zip(embeds, mask, strict=True)]

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family."""
        height, width = noisy.shape[-2:]
        text = conditioning["prompt_embeds"].to(noisy)
        tokens = pack(noisy)
        own_mask = conditioning["prompt_attention_mask"].to(noisy)
        mask = torch.cat([own_mask, own_mask.new_ones(tokens.shape[:2])], dim=1)
        answer = denoiser(
            hidden_states=tokens,
            timestep=times.to(noisy),
            encoder_hidden_states=text,
            txt_ids=torch.zeros(text.shape[1], 3, device=noisy.device),
            img_ids=grid_ids(height // 2, width // 2, device=noisy.device),
            attention_mask=mask,
            return_dict=False,
        )[0]
        return unpack(answer, height, width)
