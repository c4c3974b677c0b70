"""Two processes of a run, as Ray Train would start them. Not a test: each imports this by its name."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from tests.unit.train_jobs.lora.bench_of_one import CAPTIONS, run
from tests.unit.train_jobs.lora.test_families import CPU, base_of
from train_jobs.common.group import Group
from train_jobs.lora import components
from train_jobs.lora.loop import Training
from train_jobs.lora.sampling import Sampler

DEADLINE = timedelta(seconds=120)


def work(rank: int, port: int, folder: str, jobs: list[tuple[str, str, Any, bool]]) -> None:
    """Run each job (its name, family, configuration, whether to spread the base) and keep what came of it."""
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=2, timeout=DEADLINE)
    try:
        group = Group.of_process(torch.device("cpu"))
        for name, family, config, shard in jobs:
            training, kept, rows, outcome = run(Path(folder), family, config, group=group, shard=shard)
            result = {
                "rows": rows.rows,
                "weights": training.learner.weights(),
                "averaged": training.learner.averaged,
                "saved": sorted(kept.saved),
                "published": outcome.weights,
                "picture": picture(Path(folder), family, training),
                "kind": type(training.learner.denoiser).__name__,
            }
            torch.save(result, Path(folder) / f"{name}-{rank}.pt")
    finally:
        dist.destroy_process_group()


def picture(folder: Path, family: str, training: Training) -> torch.Tensor:
    """What the trained model draws, as bytes: [height, width, 3]."""
    base = base_of(folder, family)
    sampler = Sampler(
        training.config,
        [CAPTIONS[0]],
        make_pipe=lambda denoiser, vae: components.load_for_sampling(base, denoiser, vae),
        load_vae=lambda: components.load_vae(base, device=CPU, dtype=torch.float32),
    )
    (sample,) = sampler.draw(training.learner, training.encoded, [0])
    return torch.from_numpy(np.array(sample.image))
