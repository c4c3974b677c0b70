"""FLUX.2 [klein]: a rectified-flow transformer over patches that the VAE normalises itself, Qwen3 for text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from train_jobs.lora.families.base import Conditioning, Family, Frame, Posterior
from train_jobs.lora.families.objective import FlowMatching


class Flux2Klein(Family):
    """See Family. Latents here are 2 x 2 patches: [batch, 4 · channels, height, width] at a sixteenth of the image."""

    name = "flux2-klein"
    title = "FLUX.2 [klein]"
    pipeline = "Flux2KleinPipeline"
    denoiser = "transformer"
    text_components = ("text_encoder", "tokenizer")
    objective = FlowMatching()
    targets = (
        "to_q",
        "to_k",
        "to_v",
        "to_out.0",
        "add_q_proj",
        "add_k_proj",
        "add_v_proj",
        "to_add_out",
        "ff.linear_in",
        "ff.linear_out",
        "ff_context.linear_in",
        "ff_context.linear_out",
        "to_qkv_mlp_proj",
        "attn.to_out",
    )
    key_format = "diffusers"
    architecture = "flux-2-klein"
    base_version = "flux2_klein"
    guidance = 4.0
    sample_steps = 28
    uses_negative = True

    def encode_text(self, pipe: Any, prompts: Sequence[str]) -> list[Conditioning]:
        """See Family."""
        layers = _text_layers(pipe.text_encoder)
        embeds, _ = pipe.encode_prompt(list(prompts), device=pipe.text_encoder.device, text_encoder_out_layers=layers)
        return [{"prompt_embeds": one} for one in embeds]

    def encode_images(self, vae: nn.Module, pixels: Tensor) -> Posterior:
        """See Family."""
        model: Any = vae
        distribution = model.encode(pixels).latent_dist
        return Posterior(mean=patches(distribution.mean), std=patches(distribution.std))

    def statistics(self, vae: nn.Module) -> Mapping[str, Any]:
        """See Family. The VAE has a batch norm without weights behind its encoder."""
        model: Any = vae
        std = (model.bn.running_var + model.config.batch_norm_eps).sqrt()
        return {"mean": model.bn.running_mean.float().tolist(), "std": std.float().tolist()}

    def normalise(self, latents: Tensor, statistics: Mapping[str, Any]) -> Tensor:
        """See Family."""
        mean, std = (latents.new_tensor(statistics[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
        return (latents - mean) / std

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, times: Tensor, conditioning: Conditioning, frames: Sequence[Frame]
    ) -> Tensor:
        """See Family."""
        batch, channels, height, width = noisy.shape
        text = conditioning["prompt_embeds"].to(noisy)
        guidance = None
        if getattr(self.config_of(denoiser), "guidance_embeds", False):
            guidance = torch.ones(batch, device=noisy.device)
        tokens: Tensor = denoiser(
            hidden_states=noisy.flatten(2).transpose(1, 2),
            timestep=times.to(noisy),
            guidance=guidance,
            encoder_hidden_states=text,
            txt_ids=_ids(1, 1, text.shape[1], batch, noisy.device),
            img_ids=_ids(height, width, 1, batch, noisy.device),
            return_dict=False,
        )[0]
        return tokens.transpose(1, 2).reshape(batch, channels, height, width)

    def sample_arguments(self, positive: Conditioning, negative: Conditioning | None) -> dict[str, Any]:
        """See Family."""
        arguments: dict[str, Any] = {"prompt_embeds": positive["prompt_embeds"][None]}
        if negative is not None:
            arguments["negative_prompt_embeds"] = negative["prompt_embeds"][None]
        return arguments


def patches(latents: Tensor) -> Tensor:
    """[batch, channels, height, width] -> [batch, channels · 4, height/2, width/2]."""
    batch, channels, height, width = latents.shape
    patches = latents.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
    return patches.reshape(batch, channels * 4, height // 2, width // 2)


def _ids(height: int, width: int, length: int, batch: int, device: torch.device) -> Tensor:
    """[batch, height · width · length, 4]: time, row, column, place in the text."""
    axes = [torch.arange(size, device=device) for size in (1, height, width, length)]
    return torch.cartesian_prod(*axes).unsqueeze(0).expand(batch, -1, -1)


def _text_layers(encoder: Any) -> tuple[int, ...]:
    """The layers whose states are the text: a quarter, a half and three quarters up (9, 18, 27 of 36)."""
    depth = encoder.config.num_hidden_layers
    return tuple(max(1, depth * quarter // 4) for quarter in (1, 2, 3))
