from __future__ import annotations

import pytest

from thornback.lora.keys import TensorName, format_of, parse_name, with_dots

CASES = [
    # a key and what it is
    ("transformer.blocks.0.attn.to_q.lora_A.weight", TensorName("transformer", "blocks.0.attn.to_q", "down")),
    ("transformer.blocks.0.attn.to_q.lora_B.weight", TensorName("transformer", "blocks.0.attn.to_q", "up")),
    ("unet.mid_block.attentions.0.proj_in.lora_B.weight", TensorName("unet", "mid_block.attentions.0.proj_in", "up")),
    # as ComfyUI and some trainers name the denoiser
    ("diffusion_model.layers.1.to_k.lora_A.weight", TensorName("transformer", "layers.1.to_k", "down")),
    # as PEFT, DDP and torch.compile leave it
    (
        "base_model.model.module._orig_mod.blocks.3.to_v.lora_A.default.weight",
        TensorName("transformer", "blocks.3.to_v", "down"),
    ),
    (
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
        TensorName("unet", "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "down"),
    ),
    (
        "lora_unet_up_blocks_1_attentions_2_transformer_blocks_0_ff_net_0_proj.lora_up.weight",
        TensorName("unet", "up_blocks.1.attentions.2.transformer_blocks.0.ff.net.0.proj", "up"),
    ),
    (
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0.alpha",
        TensorName("unet", "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0", "alpha"),
    ),
    (
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
        TensorName("text_encoder", "text_model.encoder.layers.0.self_attn.q_proj", "down"),
    ),
    (
        "lora_te2_text_model_encoder_layers_11_mlp_fc1.lora_up.weight",
        TensorName("text_encoder_2", "text_model.encoder.layers.11.mlp.fc1", "up"),
    ),
]


@pytest.mark.parametrize(("key", "name"), CASES)
def test_a_name_is_read(key: str, name: TensorName) -> None:
    assert parse_name(key) == name


@pytest.mark.parametrize("name", [name for _, name in CASES if name.component != "transformer"])
@pytest.mark.parametrize("two", [True, False])
def test_kohyas_names_and_back(name: TensorName, two: bool) -> None:
    assert parse_name(name.kohya(has_two_text_encoders=two)) == name


@pytest.mark.parametrize("name", [name for _, name in CASES])
def test_diffusers_names_and_back(name: TensorName) -> None:
    assert parse_name(name.diffusers()) == name


@pytest.mark.parametrize("key", ["model.embed.weight", "lora_unet_x.weight", "lora_other_x.lora_down.weight", ""])
def test_what_belongs_to_no_lora(key: str) -> None:
    assert parse_name(key) is None


def test_the_first_known_tensor_tells_the_format() -> None:
    assert format_of(["text", "lora_unet_x.lora_down.weight"]) == "kohya"
    assert format_of(["transformer.x.lora_A.weight"]) == "diffusers"
    assert format_of(["x.weight"]) is None


def test_underscores_inside_names_stay() -> None:
    assert with_dots("up_blocks_2_resnets_0_time_emb_proj") == "up_blocks.2.resnets.0.time_emb_proj"
