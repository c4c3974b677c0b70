"""Seconds until a LoRA training's first step is done: a first run on a data set, and a second one.

    python -m tests.benchmarks.lora_second_run [--pictures 8] [--resolution 256] [--crops 1]

In one process, so without its imports (5 s in both) and without Ray's start. The model is the medium FLUX.1
of `lora_models` with a CLIP of published size and a VAE of half the published width: on one core of a CPU the
published VAE would take most of a minute for each picture. What the second run saves is what encoders and
their loading cost, so on real models it saves more of either. The check that it is no other run: nothing is
encoded, and the first step's loss is the same to the bit.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.lora_models import build_base
from tests.benchmarks.lora_rig import CAPTION, Bench, make_pictures
from thornback import torch_shim
from thornback.jobs.own_lora import LoraConfig
from train_jobs.lora import components


def thicken(base: Path) -> None:
    """Encoders that take a while, as real ones do."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    config: Any = AutoencoderKL.load_config(base / "vae")
    changes = {"block_out_channels": (64, 128, 256, 256), "layers_per_block": 2, "norm_num_groups": 32}
    AutoencoderKL.from_config({**config, **changes}).save_pretrained(base / "vae")
    thin = CLIPTextConfig.from_pretrained(base / "text_encoder")
    for name, value in {"num_hidden_layers": 12, "hidden_size": 768, "intermediate_size": 3072}.items():
        setattr(thin, name, value)
    thin.num_attention_heads = 12
    CLIPTextModel(thin).save_pretrained(base / "text_encoder")


@contextmanager
def timed(phases: dict[str, tuple[float, float]], name: str) -> Iterator[None]:
    """Wall seconds and CPU seconds of a phase."""
    began, began_cpu = time.perf_counter(), time.process_time()
    yield
    phases[name] = (time.perf_counter() - began, time.process_time() - began_cpu)


def run(config: LoraConfig, cache: Path) -> tuple[dict[str, tuple[float, float]], int, float, dict[str, int]]:
    """Up to the end of the first step: seconds by phase, what was encoded, the loss, peaks of memory."""
    bench = Bench(config, cache, dtype=torch.float32)
    phases: dict[str, tuple[float, float]] = {}
    with timed(phases, "look and encode"):
        base, examples, encoded, count = bench.encode()
    with timed(phases, "load the denoiser"):
        training = bench.training(base, examples, encoded)
    with timed(phases, "first step"):
        loss, _ = training.step()
    bench.peaks.phase("training")
    return phases, count, float(loss), bench.peaks.as_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--crops", type=int, default=1)
    arguments = parser.parse_args()
    torch_shim.install()
    torch.set_num_threads(1)
    components.be_quiet()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = build_base("flux1", "medium", folder / "base")
        _pooled_of_clip(base)
        thicken(base)
        side = arguments.resolution + (32 if arguments.crops > 1 else 0)
        config = LoraConfig(
            base_model=str(base),
            dataset=str(make_pictures(folder / "pictures", count=arguments.pictures, side=side)),
            default_caption=CAPTION,
            resolution=[arguments.resolution],
            crops=arguments.crops,
            steps=10,
        )
        losses: list[float] = []
        totals: list[tuple[float, float]] = []
        for number in ("first", "second"):
            phases, encoded, loss, peaks = run(config, folder / "cache")
            losses.append(loss)
            totals.append((sum(one[0] for one in phases.values()), sum(one[1] for one in phases.values())))
            told = ", ".join(f"{phase} {wall:.1f} s ({cpu:.1f} of CPU)" for phase, (wall, cpu) in phases.items())
            print(f"{number} run: {totals[-1][0]:.1f} s until the first step is done; {encoded} encoded; {told}")
            print("   peaks: " + ", ".join(f"{phase} {size / 2**20:.0f} MiB" for phase, size in peaks.items()))
        if losses[0] != losses[1] or encoded != 0:
            raise SystemExit(f"the second run was another one: losses {losses}, {encoded} encoded")
        wall, cpu = (first / second for first, second in zip(*totals, strict=True))
        print(f"first / second: {wall:.1f} by the wall clock, {cpu:.1f} by CPU time; load {os.getloadavg()[0]:.1f}")


def _pooled_of_clip(base: Path) -> None:
    """The denoiser takes a pooled vector of CLIP's width."""
    from diffusers import FluxTransformer2DModel

    config: Any = FluxTransformer2DModel.load_config(base / "transformer")
    FluxTransformer2DModel.from_config({**config, "pooled_projection_dim": 768}).save_pretrained(base / "transformer")


if __name__ == "__main__":
    main()
