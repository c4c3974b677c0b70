"""The entry point of a pipeline, with accidents: tags of the job say where it is killed, or held until it is stopped.

`kill`: percentages, e.g. `5,30`: each kills the process when it is first passed. `hold`: a percentage from
which on nothing happens until the run has to stop, or the file of the tag `gate` is there.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from thornback.metrics.reporter import Reporter
from train_jobs.common.arguments import parse_arguments
from train_jobs.common.entry import run
from train_jobs.common.layers import ReporterLayer
from train_jobs.video_lora.driver import PipelineDriver, make_driver


class Accidents(ReporterLayer):
    """Happen at progress."""

    def __init__(self, inner: Reporter, tags: dict[str, str], folder: Path) -> None:
        super().__init__(inner)
        self._kills = [float(at) for at in tags.get("kill", "").split(",") if at]
        self._hold = float(tags.get("hold", "inf"))
        self._gate = Path(tags.get("gate", "/nonexistent"))
        self._folder = folder

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        """Tell it, then have the accident."""
        super().progress(percent=percent, epoch=epoch, total_epochs=total_epochs, eta_seconds=eta_seconds)
        self._folder.mkdir(parents=True, exist_ok=True)
        for at in self._kills:
            mark = self._folder / f"killed-{at:g}"
            if percent >= at and not mark.exists():
                mark.touch()
                self.flush(10.0)
                os.kill(os.getpid(), signal.SIGKILL)
        while percent >= self._hold and not self.should_stop and not self._gate.exists():
            time.sleep(0.02)


def make(*, reporter: Reporter, **options: Any) -> PipelineDriver:
    """See MakeDriver."""
    settings, job_id = options["settings"], options["job_id"]
    accidents = Accidents(reporter, options["spec"].tags, settings.home / "accidents" / job_id)
    return make_driver(reporter=accidents, **options)


if __name__ == "__main__":
    sys.exit(run(make, parse_arguments(None, module=__name__, description="Accidents."), kind="video_lora"))
