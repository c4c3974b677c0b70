"""What the driver decided and every worker needs to know. Made once, pickled to each worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thornback.artifacts.files import join
from thornback.artifacts.node_cache import NodeCache
from thornback.jobs.convnext import TrainingConfig
from thornback.jobs.events import Attempt
from train_jobs.common.launch import TRAIN_NAME
from train_jobs.common.tracking import MlflowTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The addresses of everything that one run keeps; `uri` is a folder or s3://."""

    uri: str

    @property
    def index(self) -> str:
        """The clips and their split, as the first attempt found them."""
        return join(self.uri, "dataset.parquet")

    @property
    def train(self) -> str:
        """Ray Train's folder: checkpoints and its record of them."""
        return join(self.uri, TRAIN_NAME)

    @property
    def tensorboard(self) -> str:
        """Event files."""
        return join(self.uri, "tensorboard")

    def artifact(self, name: str) -> str:
        """A file of the run's results."""
        return join(self.uri, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One run."""

    job_id: str | None  # None: no platform is there
    config: TrainingConfig
    folder: RunFolder
    attempt: Attempt
    namespace: str  # of the platform's actors
    on_gpu: bool
    pretrained_uri: str | None = None  # weights that every worker starts from, in the run's folder
    resume_from: str | None = None  # a checkpoint of another run to start from
    mlflow: MlflowTarget | None = None
    near: NodeCache | None = None  # copies of clips from s3:// on each machine
    # Passed on to timm on top of what the configuration says: depths and dims, for networks that timm
    # has no name for.
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_uri(self) -> str:
        """The run's folder."""
        return self.folder.uri
