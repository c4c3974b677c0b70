"""What Ray Train runs in each worker process: sets the process up and calls the loop."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint, CheckpointUploadMode
from ray.train.v2._internal.execution import context as ray_context

from thornback import torch_shim
from thornback.artifacts.files import join, locate
from thornback.datasets import AudioDataset
from thornback.datasets.index import read_index
from thornback.metrics.capture import capture_output
from thornback.metrics.reporter import Reporter, open_reporter
from train_jobs.common.console import ConsoleReporter
from train_jobs.common.launch import SCORE
from train_jobs.convnext.checkpoint import Snapshot, read_snapshot, upload_snapshot, write_snapshot
from train_jobs.convnext.choices import Choices, Machine, choose
from train_jobs.convnext.plan import RunPlan
from train_jobs.convnext.tracking import TrackingReporter, open_sinks

LAST_CHECKPOINT, BEST_CHECKPOINT = "checkpoint", "best_checkpoint"


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
            dataset = read_index(locate(plan.folder.index).read_bytes())
            if group.is_first:
                steps = math.ceil(len(dataset.train) / (plan.config.batch_size * group.world_size))
                reporter = TrackingReporter(
                    ConsoleReporter(base, is_captured=True), open_sinks(plan), steps_per_epoch=steps
                )
            choices = _choose(plan, dataset, context.get_local_world_size())
            torch.set_num_threads(choices.threads)
            reporter.describe(**choices.facts(), workers=group.world_size, device=_name(device))
            checkpoints = RayCheckpoints(plan, reporter)
            training = Training(plan, dataset, choices, group, reporter, checkpoints, StopListener(job["stop"]))
            outcome = training.run()
            checkpoints.wait()  # what is uploaded last is told last, and then nobody speaks any more
            return outcome
        finally:
            reporter.close(timeout_s=10.0)


class RayCheckpoints:
    """Checkpoints in the run's folder, registered with Ray Train, which keeps the best and the last."""

    def __init__(self, plan: RunPlan, reporter: Reporter) -> None:
        self._plan = plan
        self._reporter = reporter
        self._uploads = 0  # handed to Ray Train's thread and not done
        self._changed = threading.Condition()

    def load(self) -> Snapshot | None:
        """See Checkpoints."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            return read_snapshot(locate(join(self._plan.folder.train, Path(checkpoint.path).name)))
        if self._plan.resume_from is not None:
            return read_snapshot(locate(self._plan.resume_from))
        return None

    def save(self, name: str, snapshot: Snapshot | None, *, score: float) -> None:
        """Write to a local folder at once and upload from there while training goes on. See Checkpoints."""
        checkpoint = None
        if snapshot is not None:
            folder = Path(tempfile.mkdtemp(prefix="thornback-checkpoint-"))
            write_snapshot(folder, snapshot)
            checkpoint = Checkpoint.from_directory(folder)
            with self._changed:
                self._uploads += 1
            best = snapshot.state.best
            is_best = best is not None and snapshot.state.batch == 0 and best.epoch == snapshot.state.epoch - 1

            def upload(local: Checkpoint, directory: str) -> Checkpoint:
                return self._upload(local, directory, is_best=is_best)

        ray.train.report(
            {SCORE: score},
            checkpoint=checkpoint,
            checkpoint_dir_name=name,
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
            checkpoint_upload_fn=None if checkpoint is None else upload,
        )

    def wait(self) -> None:
        """Until every upload is done; Ray Train would wait for them as well, but after our reporter is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._uploads == 0)

    def _upload(self, local: Checkpoint, name: str, *, is_best: bool) -> Checkpoint:
        uri = join(self._plan.folder.train, name)
        place = locate(uri)
        try:
            size = upload_snapshot(Path(local.path), place)
            for artifact in (LAST_CHECKPOINT, BEST_CHECKPOINT) if is_best else (LAST_CHECKPOINT,):
                self._reporter.artifact(name=artifact, type="checkpoint", uri=uri, size_bytes=size)
        finally:
            with self._changed:
                self._uploads -= 1
                self._changed.notify_all()
        return Checkpoint(path=place.path, filesystem=place.fs)


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
