"""Images per second of the job's loop against a plain PyTorch loop over the same network and loader.

    python -m tests.benchmarks.train_throughput [--rounds 6] [--clips 480]

One worker, one thread, convnext_atto on the demo's signals. The two take turns, so that a machine that
others use as well slows both down alike; each pair of turns gives a ratio, and the median counts. The
plain loop does what nobody could leave out: load, front end, forward, loss, backward, clip, step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from thornback.datasets import AudioDataset, open_dataset
from thornback.datasets.radio import demo_config, make_radio_dataset
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.events import Attempt
from thornback.metrics.reporter import NullReporter
from train_jobs.common.group import Group
from train_jobs.convnext.checkpoint import Snapshot
from train_jobs.convnext.choices import Machine, choose
from train_jobs.convnext.data import ClipDataset, Loader, train_batches
from train_jobs.convnext.frontend import LogMel
from train_jobs.convnext.loop import Training
from train_jobs.convnext.model import build_backbone
from train_jobs.convnext.plan import RunFolder, RunPlan
from train_jobs.convnext.state import Sums

Turn = Callable[[int], int]
"""Trains an epoch by its number; returns the images."""


class NoCheckpoints:
    """Both loops are timed within an epoch."""

    def load(self) -> Snapshot | None:
        return None

    def save(self, name: str, snapshot: Snapshot | None, *, score: float) -> None:
        return None


def job_loop(config: TrainingConfig, dataset: AudioDataset) -> Turn:
    """The loop of the job, with its rows, progress and sums."""
    machine = Machine(on_gpu=False, has_bf16=False, has_triton=False, cores=1, local_workers=1)
    plan = RunPlan(
        job_id=None,
        config=config,
        folder=RunFolder(uri="unused"),
        attempt=Attempt(),
        namespace="unused",
        on_gpu=False,
    )
    choices = choose(config, machine, images=1)
    training = Training(plan, dataset, choices, Group(), NullReporter(), NoCheckpoints(), lambda: False)

    def turn(epoch: int) -> int:
        training.state.epoch, training.state.done, training.state.batch = epoch, 0, 0
        training.state.epoch_sums = Sums()
        training.train_epoch()
        return training.state.done

    return turn


def plain_loop(config: TrainingConfig, dataset: AudioDataset) -> Turn:
    """What one writes by hand."""
    torch.manual_seed(config.seed)
    model = build_backbone(config, len(dataset.classes))
    frontend = LogMel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    source = ClipDataset(dataset.root, dataset.train, dataset.classes, config)
    loader = Loader(source, processes=0, pin_memory=False)

    def turn(epoch: int) -> int:
        model.train()
        plan = train_batches(len(dataset.train), config, epoch=epoch, done=0, seat=0, seats=1)
        for batch in loader.load(plan):
            loss = functional.cross_entropy(model(frontend(batch.wave)), batch.label)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return len(dataset.train)

    return turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--clips", type=int, default=480)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        manifest = make_radio_dataset(Path(folder), clips=arguments.clips, seed=0)
        config = TrainingConfig.model_validate({**demo_config(manifest), "epochs": 1000, "min_snr_db": -100.0})
        dataset = open_dataset(config.data, config)
        loops = {"job": job_loop(config, dataset), "plain": plain_loop(config, dataset)}
        for loop in loops.values():
            loop(1)  # warm
        wall: dict[str, list[float]] = {"job": [], "plain": []}
        cpu: dict[str, list[float]] = {"job": [], "plain": []}
        for number in range(arguments.rounds):
            names = ["job", "plain"] if number % 2 else ["plain", "job"]
            for name in names:
                began, began_cpu = time.perf_counter(), time.process_time()
                images = loops[name](number + 2)
                wall[name].append(images / (time.perf_counter() - began))
                cpu[name].append(images / (time.process_time() - began_cpu))
    for unit, rates in (("second", wall), ("CPU second", cpu)):
        ratio = statistics.median(job / plain for job, plain in zip(rates["job"], rates["plain"], strict=True))
        print(
            f"images per {unit}: job {statistics.median(rates['job']):.1f}, "
            f"plain {statistics.median(rates['plain']):.1f}, ratio {ratio:.3f}"
        )


if __name__ == "__main__":
    main()
