"""What the driver decided and every worker needs to know. Made once, pickled to each worker."""

from __future__ import annotations

from dataclasses import dataclass

from thornback.artifacts.files import join
from thornback.artifacts.node_cache import NodeCache
from thornback.jobs.events import Attempt
from thornback.jobs.own_lora import LoraConfig
from train_jobs.common.tracking import MlflowTarget
from train_jobs.lora.components import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One run."""

    job_id: str | None  # None: no platform is there
    job_name: str
    config: LoraConfig
    base: BaseModel
    run_uri: str  # the run's folder
    cache_uri: str  # what all runs share
    storage: str  # of the platform; uploads lie there
    attempt: Attempt
    namespace: str  # of the platform's actors
    on_gpu: bool
    resume_from: str | None = None  # a checkpoint of another run to start from
    mlflow: MlflowTarget | None = None
    near: NodeCache | None = None  # copies of what is encoded on s3://, on each machine

    def file(self, name: str) -> str:
        """A file of the run's folder."""
        return join(self.run_uri, name)

    @property
    def index(self) -> str:
        """The images, as the first attempt found them."""
        return self.file("dataset.json")

    @property
    def regularisation_index(self) -> str:
        """The same of the regularisation images."""
        return self.file("regularisation.json")

    @property
    def tensorboard(self) -> str:
        """Event files."""
        return self.file("tensorboard")
