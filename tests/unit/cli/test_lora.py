from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from typer.testing import CliRunner

from thornback.cli.main import app

KEY = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
HEADER = {"modelspec.trigger_phrase": "TOK", "modelspec.architecture": "stable-diffusion-v1/lora"}


def lora_file(path: Path, *, alpha: float | None = None, **header: str) -> Path:
    tensors = {
        f"{KEY}.lora_A.weight": np.ones((2, 8), np.float16),
        f"{KEY}.lora_B.weight": np.full((4, 2), 3.0, np.float16),
    }
    if alpha is not None:
        tensors[f"{KEY}.alpha"] = np.array(alpha, np.float32)
    save_file(tensors, path, metadata=HEADER | header)
    return path


def test_inspect_tells_what_is_in_a_file(tmp_path: Path) -> None:
    file = lora_file(tmp_path / "fox.safetensors")
    answer = CliRunner().invoke(app, ["lora", "inspect", str(file), "--json"])
    told = json.loads(answer.stdout)
    assert (told["family"], told["rank"], told["ranks"], told["trigger_word"]) == ("sd15", 2, {"2": 1}, "TOK")
    assert (told["layers"], told["parameters"], told["alpha"], told["key_format"]) == (1, 24, "rank", "diffusers")
    assert told["size_bytes"] == file.stat().st_size
    shown = CliRunner().invoke(app, ["lora", "inspect", str(file), "--header"]).stdout
    assert "folded" in shown
    assert "stable-diffusion-v1/lora" in shown


def test_an_alpha_that_is_the_rank_is_a_folded_one(tmp_path: Path) -> None:
    for alpha, told in ((2.0, "rank"), (1.0, "1.0")):
        file = lora_file(tmp_path / "fox.safetensors", alpha=alpha, ss_network_alpha=str(alpha))
        answer = CliRunner().invoke(app, ["lora", "inspect", str(file), "--json"])
        assert json.loads(answer.stdout)["alpha"] == told


def test_convert_folds_alpha(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    file = lora_file(tmp_path / "fox.safetensors", alpha=1.0)
    target = tmp_path / "kohya.safetensors"
    answer = CliRunner().invoke(app, ["lora", "convert", str(file), str(target), "--to", "kohya"])
    assert answer.exit_code == 0, answer.output
    flat = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    tensors = load_file(target)
    assert set(tensors) == {f"{flat}.lora_down.weight", f"{flat}.lora_up.weight", f"{flat}.alpha"}
    assert float(tensors[f"{flat}.alpha"]) == 2.0  # the rank
    assert float(tensors[f"{flat}.lora_up.weight"][0, 0]) == 1.5  # 3 · alpha 1 / rank 2


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    file = lora_file(tmp_path / "fox.safetensors")
    target = tmp_path / "there.safetensors"
    target.write_text("mine")
    answer = CliRunner().invoke(app, ["lora", "convert", str(file), str(target), "--to", "kohya"])
    assert answer.exit_code == 2
    assert "--force" in answer.output
    assert target.read_text() == "mine"


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a lora")
    answer = CliRunner().invoke(app, ["lora", "inspect", str(broken)])
    assert answer.exit_code == 2
    assert "no whole safetensors file" in answer.output
    missing = CliRunner().invoke(app, ["lora", "inspect", str(tmp_path / "none")])
    assert "cannot be read" in missing.output
