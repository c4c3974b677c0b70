"""What Ray Train runs in each worker process: sets the process up and calls the loop."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
from typing import Any

import ray.train
import torch
from ray.train.v2._internal.execution import context as ray_context

from thornback import torch_shim
from thornback.datasets import AudioDataset
from thornback.metrics.capture import capture_output
from thornback.metrics.reporter import Reporter, open_reporter
from train_jobs.common.console import ConsoleReporter
from train_jobs.common.nodes import nodes_of
from train_jobs.common.ray_checkpoints import Codec, RayCheckpoints
from train_jobs.common.snapshots import upload
from train_jobs.common.tracking import TrackingReporter, open_sinks
from train_jobs.convnext.checkpoint import Snapshot, read_snapshot, write_snapshot
from train_jobs.convnext.choices import Choices, Machine, choose
from train_jobs.convnext.plan import RunPlan
from train_jobs.convnext.prepare import stored_dataset


def run_worker(job: dict[str, Any]) -> Any:
    """Train. `job` holds the `plan` and the driver's `stop` signal; returns the loop's Outcome."""
    torch_shim.install()
    # Each checkpoint would be a line in the job's log; Ray names this logger by its file.
    logging.getLogger(ray_context.__file__).setLevel(logging.WARNING)
    from train_jobs.common.group import Group
    from train_jobs.common.stopping import StopListener
    from train_jobs.convnext.loop import Training

    plan: RunPlan = job["plan"]
    context = ray.train.get_context()
    rank = context.get_world_rank()
    base = open_reporter(plan.job_id, attempt=plan.attempt, rank=rank, namespace=plan.namespace)
    reporter: Reporter = base
    with capture_output(base):
        try:
            device = _device(plan, context.get_local_rank())
            group = Group.of_process(device)
            dataset = stored_dataset(plan.folder)
            if group.is_first:
                steps = math.ceil(len(dataset.train) / (plan.config.batch_size * plan.config.devices))
                reporter = TrackingReporter(
                    ConsoleReporter(base, is_captured=True),
                    open_sinks(plan.folder.tensorboard, plan.mlflow),
                    steps_per_epoch=steps,
                )
            choices = _choose(plan, dataset, context.get_local_world_size())
            torch.set_num_threads(choices.threads)
            reporter.describe(**choices.facts(), workers=group.world_size, nodes=nodes_of(group), device=_name(device))
            checkpoints = RayCheckpoints(plan.run_uri, plan.resume_from, reporter, CODEC)
            training = Training(plan, dataset, choices, group, reporter, checkpoints, StopListener(job["stop"]))
            outcome = training.run()
            checkpoints.wait()  # what is uploaded last is told last, and then nobody speaks any more
            return outcome
        finally:
            reporter.close(timeout_s=10.0)


def _is_best(snapshot: Snapshot) -> bool:
    best = snapshot.state.best
    return best is not None and snapshot.state.batch == 0 and best.epoch == snapshot.state.epoch - 1


CODEC = Codec(read=read_snapshot, write=write_snapshot, upload=upload, is_best=_is_best)


def _device(plan: RunPlan, local_rank: int) -> torch.device:
    if not plan.on_gpu:
        return torch.device("cpu")
    from ray.train.torch import get_device

    device = get_device()
    if device.type != "cuda":
        raise RuntimeError(f"worker {local_rank} was given no GPU that this torch ({torch.__version__}) can use")
    torch.cuda.set_device(device)
    return device


def _choose(plan: RunPlan, dataset: AudioDataset, local_workers: int) -> Choices:
    machine = Machine(
        on_gpu=plan.on_gpu,
        has_bf16=plan.on_gpu and torch.cuda.is_bf16_supported(including_emulation=False),
        has_triton=importlib.util.find_spec("triton") is not None,
        cores=len(os.sched_getaffinity(0)),
        local_workers=local_workers,
    )
    return choose(plan.config, machine, images=len(dataset.train) * plan.config.epochs)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
