"""One, two and four CPU workers with the same work each: how much of the ideal is left, and where the rest goes.

    python -m tests.benchmarks.scaling [--steps 40] [--workers 1 2 4]

ConvNeXt with the loop of the job, one thread and one device each, batches of the same size for each worker,
so that n workers do n times the work; the ideal is the rate of one times n. Three ways, one after the other:

    apart   n processes that know nothing of each other: what is missing here, the cores lack
    group   the same in one process group (DDP over gloo): beside that, what exchanging gradients costs
    train   the same under Ray Train, as a job runs: beside that, what Ray and reporting cost

Rates are of the steps after the first ten, clips of all workers together, the slowest worker's time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, SupportsFloat

import torch
import torch.distributed as dist

from tests.benchmarks.train_throughput import NoCheckpoints
from tests.fixtures.ray import free_port, running_ray
from tests.unit.train_jobs.helpers import make_tones, small_config
from thornback.datasets import open_dataset
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.events import Attempt
from thornback.metrics.reporter import NullReporter
from train_jobs.common.group import Group
from train_jobs.common.launch import Launcher
from train_jobs.convnext.choices import Machine, choose
from train_jobs.convnext.loop import Training
from train_jobs.convnext.plan import RunFolder, RunPlan

WARM = 10  # steps
BATCH = 8
WAYS = ("apart", "group", "train")


@dataclass
class Times(NullReporter):
    """When each step was over, for every worker."""

    at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        self.at.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """Of the steps after the first ones."""
        return self.at[-1] - self.at[WARM - 1]


def train(config: TrainingConfig, group: Group) -> float:
    """An epoch by one worker; returns its seconds."""
    torch.set_num_threads(1)
    machine = Machine(on_gpu=False, has_bf16=False, has_triton=False, cores=1, local_workers=1)
    plan = RunPlan(
        job_id=None,
        config=config,
        folder=RunFolder(uri="unused"),
        attempt=Attempt(),
        namespace="unused",
        on_gpu=False,
    )
    times = Times()
    dataset = open_dataset(config.data, config)
    choices = choose(config, machine, images=1)
    Training(plan, dataset, choices, group, times, NoCheckpoints(), lambda: False).train_epoch()
    return times.seconds


def apart(rank: int, config: TrainingConfig, together: Any, answers: Any, port: int) -> None:
    """A worker that is alone, beside others, for as many steps as a part of the group has."""
    alone = config.model_copy(update={"devices": 1, "data": str(Path(str(config.data)).with_name("tones1"))})
    together.wait()
    answers.put(train(alone, Group()))


def grouped(rank: int, config: TrainingConfig, together: Any, answers: Any, port: int) -> None:
    """A worker of a process group."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=config.devices, timeout=timedelta(seconds=300))
    together.wait()
    answers.put(train(config, Group.of_process(torch.device("cpu"))))
    dist.destroy_process_group()


def in_processes(work: Callable[..., None], config: TrainingConfig) -> float:
    """As many as there are devices; the slowest one's seconds."""
    context = multiprocessing.get_context("spawn")
    together, answers = context.Barrier(config.devices), context.Queue()
    port = free_port()
    processes = [
        context.Process(target=work, args=(rank, config, together, answers, port)) for rank in range(config.devices)
    ]
    for process in processes:
        process.start()
    seconds: list[float] = [answers.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    return max(seconds)


def in_ray(job: dict[str, Any]) -> Any:
    """What Ray Train calls in each worker."""
    group = Group.of_process(torch.device("cpu"))
    return max(group.gather(train(job["plan"].config, group)))


def under_ray_train(config: TrainingConfig, folder: Path) -> float:
    """As a job's driver starts it."""
    plan = RunPlan(
        job_id=None,
        config=config,
        folder=RunFolder(uri=str(folder)),
        attempt=Attempt(),
        namespace="scaling",
        on_gpu=False,
    )
    return float(Launcher(in_ray).fit(plan))


def config_for(tones: Path, workers: int) -> TrainingConfig:
    """Nothing is held out, and each step is a row."""
    return small_config(
        tones,
        batch_size=BATCH,
        devices=workers,
        epochs=1,
        warmup_epochs=0,
        validation_split=0.0,
        log_every_steps=1,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {BATCH} clips a worker and step, {arguments.steps} steps; clips per second\n")
    print(f"{'workers':<9}" + "".join(f"{way:>10}" for way in WAYS) + f"{'of ideal':>10}  where the rest goes")
    base: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, running_ray(cpus=max(arguments.workers)):
        clips = {n: -(-n * BATCH * arguments.steps // 3) for n in {1, *arguments.workers}}
        tones = {n: make_tones(Path(folder) / f"tones{n}", clips=count) for n, count in clips.items()}
        for workers in arguments.workers:
            config = config_for(tones[workers], workers)
            seconds = {
                "apart": in_processes(apart, config),
                "group": in_processes(grouped, config),
                "train": under_ray_train(config, Path(folder) / f"run{workers}"),
            }
            done = (arguments.steps - WARM) * workers * BATCH
            rates = {way: done / spent for way, spent in seconds.items()}
            base = base or rates
            show(workers, rates, base)


def show(workers: int, rates: Mapping[str, float], base: Mapping[str, float]) -> None:
    """One line. Shares are of the ideal: the rate of one worker alone, times the workers."""
    ideal = base["apart"] * workers
    shares = {way: rate / ideal for way, rate in rates.items()}
    lost = {
        "cores": 1 - shares["apart"],
        "gradients": shares["apart"] - shares["group"],
        "Ray and reports": shares["group"] - shares["train"],
    }
    told = ", ".join(f"{name} {share:.0%}" for name, share in lost.items())
    print(
        f"{workers:<9}" + "".join(f"{rates[way]:>10.1f}" for way in WAYS) + f"{shares['train']:>10.0%}  {told}",
        flush=True,
    )


if __name__ == "__main__":
    main()
