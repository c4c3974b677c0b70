"""Pictures of a run in its folder, told as artifacts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from thornback.artifacts.files import join, locate
from thornback.metrics.reporter import Reporter
from train_jobs.lora.pixels import as_png
from train_jobs.lora.sampling import Sample


class RunGallery:
    """Shown by rank 0, which speaks for the job."""

    def __init__(self, run_uri: str, reporter: Reporter) -> None:
        self._folder = join(run_uri, "samples")
        self._reporter = reporter

    def show(self, step: int, samples: Sequence[Sample]) -> None:
        """See Gallery."""
        for sample in samples:
            content = as_png(sample.image)
            name = f"sample-{step:08d}-{sample.number}.png"
            uri = join(self._folder, name)
            locate(uri).write_bytes(content)
            self._reporter.artifact(
                name=name,
                type="sample",
                uri=uri,
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
