"""What all stages of one pipeline work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thornback.artifacts import layout
from thornback.artifacts.layout import dataset_uri, temp_uri
from thornback.jobs.spec import VideoLoraSpec
from thornback.jobs.state import JobState
from thornback.jobs.video_lora import VideoLoraConfig
from thornback.metrics.port import Recorder
from thornback.metrics.reporter import Reporter
from thornback.settings import Settings
from train_jobs.video_lora.steps import Steps
from train_jobs.video_lora.teller import Teller


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt."""

    job: JobState
    spec: VideoLoraSpec
    settings: Settings
    recorder: Recorder
    reporter: Reporter
    teller: Teller
    steps: Steps
    check: Callable[[], None]  # for threads: raises where the run has to end
    share: Callable[[], int]  # how many cores it may keep busy at this moment

    @property
    def config(self) -> VideoLoraConfig:
        """What was asked for."""
        return self.spec.config

    @property
    def dataset_uri(self) -> str:
        """The folder of its dataset, see the layout."""
        return dataset_uri(self.settings.storage, self.job.user, self.job.id)

    @property
    def temp_uri(self) -> str:
        """What only this job needs, and only while it runs."""
        return temp_uri(self.settings.storage, self.job.id)

    @property
    def folder(self) -> Path:
        """The same on this machine, for what is read and written in pieces."""
        return work_folder(self.settings, self.job.id)


def work_folder(settings: Settings, job_id: str) -> Path:
    """See the layout."""
    return layout.work_folder(settings.storage, settings.home, job_id)
