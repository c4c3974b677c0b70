"""Steps per second of a LoRA training against diffusers' own example script.

    python -m tests.benchmarks.lora_steps --script train_dreambooth_lora_flux.py [--rounds 3] [--steps 30]
    python -m tests.benchmarks.lora_steps --gpu [--family sdxl] [--script …]

The script is `examples/dreambooth/train_dreambooth_lora_flux.py` of github.com/huggingface/diffusers, of the
tag that is installed; it needs accelerate. It runs as a process on the same random FLUX.1 from the same
folder, with the same layers, rank, batch, precision and optimizer, its latents cached (`--cache_latents`).
The two take turns on one thread, so that a machine that others use as well slows both down alike. Each is
timed between the end of its first and the end of its last step: the script by the steps that its own bar
shows, the job by its loop; a CPU second is one of the process, which another's work does not lengthen.

What differs, and cannot be switched off: the script encodes the prompt at every step, reads every picture's
pixels beside the cached latents, walks over all frozen weights to clip, fetches the loss and writes a
TensorBoard row at every step. The job draws each sample's numbers from their place in the run and reports
every tenth step, as it does by default.

Without `--gpu`: a FLUX.1 of 35 million weights at 256 pixels in float32. With it: the published size in
bf16 at 512 and 1024 pixels, with and without compiled blocks, with the peak of memory and the share of the
card's peak in FLOP/s (`--peak-tflops`), as torch counts the operations of forward and backward.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks.lora_models import build_base
from tests.benchmarks.lora_rig import CAPTION, Bench, make_pictures
from thornback import torch_shim
from thornback.jobs.own_lora import LoraConfig
from train_jobs.lora import components
from train_jobs.lora.loop import Training

PICTURES = 4
# The script's own choice; ours also takes the feed-forward of the single blocks.
FLUX_LAYERS = [
    "attn.to_k",
    "attn.to_q",
    "attn.to_v",
    "attn.to_out.0",
    "attn.add_k_proj",
    "attn.add_q_proj",
    "attn.add_v_proj",
    "attn.to_add_out",
    "ff.net.0.proj",
    "ff.net.2",
    "ff_context.net.0.proj",
    "ff_context.net.2",
]
H200_TFLOPS = 989.0  # bf16, dense


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What both are given."""

    family: str
    base: Path
    pictures: Path
    resolution: int
    batch: int
    steps: int
    device: str
    dtype: torch.dtype
    compiled: bool = False
    checkpointing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """From the end of the first step to the end of the last."""

    wall: float  # steps per second
    cpu: float  # steps per CPU second of the process


def config_of(setting: Setting) -> LoraConfig:
    """The job's; what is not said is its default."""
    return LoraConfig(
        base_model=str(setting.base),
        dataset=str(setting.pictures),
        default_caption=CAPTION,
        caption_dropout=0.0,
        resolution=[setting.resolution],
        targets=FLUX_LAYERS if setting.family == "flux1" else None,
        batch_size=setting.batch,
        repeats=setting.steps,
        steps=setting.steps,
        save_every=setting.steps * 10,
        gradient_checkpointing=setting.checkpointing,
    )


def job(setting: Setting, cache: Path) -> tuple[Speed, Training]:
    """Steps of our loop."""
    bench = Bench(config_of(setting), cache, device=setting.device, dtype=setting.dtype)
    base, examples, encoded, _ = bench.encode()
    marks: list[tuple[float, float]] = []

    def mark() -> bool:
        if training.state.step in (1, setting.steps):
            if setting.device == "cuda":
                torch.cuda.synchronize()
            marks.append((time.perf_counter(), time.process_time()))
        return False

    training = bench.training(base, examples, encoded, compiled=setting.compiled, stop=mark)
    training.run()
    (began, began_cpu), (ended, ended_cpu) = marks
    steps = setting.steps - 1
    return Speed(wall=steps / (ended - began), cpu=steps / (ended_cpu - began_cpu)), training


def script(path: Path, setting: Setting, output: Path) -> Speed:
    """Steps of diffusers' script, by its own bar."""
    arguments = {
        "pretrained_model_name_or_path": setting.base,
        "instance_data_dir": setting.pictures,
        "instance_prompt": CAPTION,
        "output_dir": output,
        "resolution": setting.resolution,
        "repeats": setting.steps,
        "train_batch_size": setting.batch,
        "max_train_steps": setting.steps,
        "max_sequence_length": _text_tokens(setting.base),
        "rank": 16,
        "lora_alpha": 16,
        "lora_layers": ",".join(FLUX_LAYERS),
        "learning_rate": 1e-4,
        "optimizer": "adamw",
        "adam_weight_decay": 0.01,
        "lr_scheduler": "constant",
        "lr_warmup_steps": 0,
        "guidance_scale": 1,
        "mixed_precision": "bf16" if setting.dtype == torch.bfloat16 else "no",
        "checkpointing_steps": setting.steps * 10,
        "seed": 0,
    }
    command = [sys.executable, "-u", "-W", "ignore", str(path), "--cache_latents"]
    command += [f"--{name}={value}" for name, value in arguments.items()]
    command += ["--gradient_checkpointing"] if setting.checkpointing else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    seen = _watch(process, setting.steps)
    if process.wait() != 0 or len(seen) < 2:
        raise SystemExit(f"{path.name} failed; run it by hand:\n{' '.join(command)}")
    (first, began, began_cpu), (last, ended, ended_cpu) = seen[0], seen[-1]
    return Speed(wall=(last - first) / (ended - began), cpu=(last - first) / (ended_cpu - began_cpu))


def _text_tokens(base: Path) -> int:
    from transformers import T5Tokenizer

    return int(T5Tokenizer.from_pretrained(base / "tokenizer_2").model_max_length)


def _watch(process: subprocess.Popen[bytes], steps: int) -> list[tuple[int, float, float]]:
    """(step, wall clock, CPU seconds) whenever the bar goes on, and what else it says, where it fails."""
    assert process.stderr is not None
    program = psutil.Process(process.pid)
    bar = re.compile(rb"Steps:.*?(\d+)/%d \[" % steps)
    seen: list[tuple[int, float, float]] = []
    text = b""
    while chunk := process.stderr.read1(1 << 16):  # type: ignore[attr-defined]  # a BufferedReader
        text = text[-4000:] + chunk
        shown = [int(number) for number in bar.findall(text)]
        if shown and shown[-1] >= 1 and (not seen or shown[-1] > seen[-1][0]):
            times = program.cpu_times()
            seen.append((shown[-1], time.perf_counter(), times.user + times.system))
    if len(seen) < 2:
        sys.stderr.buffer.write(text)
    return seen


def compare(path: Path, setting: Setting, folder: Path, rounds: int) -> None:
    """Turns of both; each pair gives a ratio, and the median counts."""
    wall: list[float] = []
    cpu: list[float] = []
    for number in range(rounds):
        turns = {"script": lambda n=number: script(path, setting, folder / f"out-{n}-{time.monotonic_ns()}")}
        names = ["job", "script"] if number % 2 else ["script", "job"]
        speeds: dict[str, Speed] = {}
        for name in names:
            speeds[name] = turns[name]() if name in turns else job(setting, folder / "cache")[0]
        mine, other = speeds["job"], speeds["script"]
        wall.append(mine.wall / other.wall)
        cpu.append(mine.cpu / other.cpu)
        print(
            f"round {number + 1}: job {mine.wall:.2f} steps/s ({mine.cpu:.2f} per CPU s), "
            f"script {other.wall:.2f} ({other.cpu:.2f}), load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    print(f"job / script, median of {rounds}: {statistics.median(wall):.3f} by the wall clock", end=", ")
    print(f"{statistics.median(cpu):.3f} by CPU time (rounds {min(cpu):.3f} to {max(cpu):.3f})")


def count_flops(training: Training) -> int:
    """Operations of one step's forward and backward, of all samples in the batch."""
    with FlopCounterMode(display=False) as counter:
        training.step()
    return int(counter.get_total_flops())


def on_gpu(arguments: argparse.Namespace, folder: Path) -> None:
    """Full size, bf16, 512 and 1024, eager and compiled."""
    base = build_base(arguments.family, "full", folder / "base")
    for resolution in (512, 1024):
        pictures = make_pictures(folder / f"pictures-{resolution}", count=PICTURES, side=resolution)
        flops = 0
        for compiled in (False, True):
            setting = Setting(
                family=arguments.family,
                base=base,
                pictures=pictures,
                resolution=resolution,
                batch=arguments.batch,
                steps=arguments.steps,
                device="cuda",
                dtype=torch.bfloat16,
                compiled=compiled,
                checkpointing=arguments.checkpointing,
            )
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            speed, training = job(setting, folder / "cache")
            peak = torch.cuda.max_memory_allocated()
            flops = flops if compiled else count_flops(training)
            share = flops * speed.wall / (arguments.peak_tflops * 1e12)
            print(
                f"{arguments.family} {resolution} px, batch {setting.batch}, {'compiled' if compiled else 'eager'}: "
                f"{speed.wall:.2f} steps/s, peak {peak / 2**30:.1f} GiB, {flops / 1e12:.1f} TFLOP a step, "
                f"{share:.1%} of {arguments.peak_tflops:.0f} TFLOP/s",
                flush=True,
            )
            del training  # and with it the model, before the next is loaded
            if arguments.script is not None and not compiled and arguments.family == "flux1":
                torch.cuda.empty_cache()
                compare(arguments.script, setting, folder, arguments.rounds)


def on_cpu(arguments: argparse.Namespace, folder: Path) -> None:
    """A medium FLUX.1 in float32."""
    setting = Setting(
        family="flux1",
        base=build_base("flux1", arguments.size, folder / "base"),
        pictures=make_pictures(folder / "pictures", count=PICTURES, side=arguments.resolution),
        resolution=arguments.resolution,
        batch=arguments.batch,
        steps=arguments.steps,
        device="cpu",
        dtype=torch.float32,
    )
    if arguments.script is not None:
        compare(arguments.script, setting, folder, arguments.rounds)
        return
    speed, training = job(setting, folder / "cache")
    flops = count_flops(training)
    print(
        f"{speed.wall:.2f} steps/s, {speed.cpu:.2f} per CPU s, {flops / 1e9:.1f} GFLOP a step, "
        f"{flops * speed.cpu / 1e9:.1f} GFLOP per CPU s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--family", choices=("flux1", "sdxl"), default="flux1")
    parser.add_argument("--size", choices=("tiny", "medium"), default="medium", help="on a CPU")
    parser.add_argument("--resolution", type=int, default=256, help="on a CPU")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--peak-tflops", type=float, default=H200_TFLOPS)
    arguments = parser.parse_args()
    torch_shim.install()
    torch.set_num_threads(1)
    components.be_quiet()
    with tempfile.TemporaryDirectory() as folder:
        (on_gpu if arguments.gpu else on_cpu)(arguments, Path(folder))


if __name__ == "__main__":
    main()
