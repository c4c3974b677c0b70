"""The LoRA files of a run's checkpoints: the newest few are kept, each usable as it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from thornback.artifacts.files import join, locate
from thornback.metrics.reporter import Reporter
from train_jobs.lora.checkpoint import Weights
from train_jobs.lora.plan import RunPlan
from train_jobs.lora.publish import write_lora


class RunShelf:
    """In the run's folder; rank 0 only."""

    def __init__(self, plan: RunPlan, reporter: Reporter) -> None:
        self._plan = plan
        self._reporter = reporter
        self._folder = join(plan.run_uri, "loras")

    def put(self, step: int, epochs: int, weights: Weights) -> None:
        """Write the file of a step, and remove what is too old."""
        name = f"lora-step-{step:08d}.safetensors"
        uri = join(self._folder, name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            write_lora(self._plan, path, weights, step=step, epochs=epochs)
            locate(uri).upload(path)
            size = path.stat().st_size
        self._reporter.artifact(name="lora-newest.safetensors", type="lora", uri=uri, size_bytes=size)
        place = locate(self._folder)
        for entry in place.files()[: -self._plan.config.keep]:
            (place / entry.path).delete_file()
