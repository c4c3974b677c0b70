"""What goes over the wire, as in the API of the training system that this one takes over (snake_case)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from thornback.jobs.spec import Provider
from thornback.jobs.status import FailureReason, JobStatus

ProgressOrigin = Literal["reported", "parsed", "estimated"]

EXAMPLE_ID = "01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11"


class Wire(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(ser_json_inf_nan="null")


class JobCreated(Wire):
    """Answer to a POST; the same again where the Idempotency-Key is the same."""

    id: str = Field(examples=[EXAMPLE_ID])
    job_name: str
    status: JobStatus = Field(description="`queued`: the status at the moment of creation.")
    created_at: datetime
    submission_id: str = Field(description="The id of the job's first run on the Ray dashboard.")
    celery_task_id: str = Field(description="The same, under the name that older clients read.")
    kind: str
    team: str | None = None
    config: dict[str, Any] = Field(description="Completed with defaults.")
    total_epochs: int
    retry_of: str | None = None
    resume_from: str | None = None


class ArtifactOut(Wire):
    """Something that a run produced."""

    name: str
    type: str = Field(examples=["checkpoint", "model", "onnx", "report", "tensorboard"])
    uri: str
    size_bytes: int | None
    sha256: str | None
    created_at: datetime
    url: str = Field(description="Where to download it, relative to this server.")


class JobSummary(Wire):
    """A row of the list."""

    id: str
    job_name: str
    kind: str
    backend: str
    user: str
    team: str | None = Field(description="Whose members see it.")
    priority: int
    tags: dict[str, str]
    status: JobStatus
    stage: str | None = Field(description="What the run is doing, e.g. `training`.")
    reason: str | None = Field(description="Why it waits.")
    queue_position: int | None = Field(description="1 starts next.")
    cancel_requested: bool
    current_epoch: int
    total_epochs: int
    progress_percent: float = Field(ge=0, le=100)
    progress_origin: ProgressOrigin | None = Field(
        description="Where the newest progress is from: `reported` by the run, `parsed` from what it printed, or "
        "`estimated` from the time; null before the first."
    )
    eta_at: datetime | None
    eta_seconds: float | None
    train_loss: float | None
    val_loss: float | None
    train_accuracy: float | None
    val_accuracy: float | None
    learning_rate: float | None
    best_epoch: int | None
    best_val_loss: float | None
    model_architecture: str | None
    provider: str | None = Field(description="Who runs it, where that is not this cluster.", examples=["replicate"])
    provider_id: str | None = Field(description="The id that the provider gave it.")
    provider_url: str | None = Field(description="The provider's page about it, for people.")
    cost_estimate_usd: float | None = Field(description="Made before the start.")
    cost_usd: float | None = Field(description="From what the provider measured, as soon as it says.")
    images_total: int | None = Field(description="Image sets: how many images are wanted.")
    images_done: int | None
    images_failed: int | None
    attempt: int = Field(description="Which submission this is; 0 before the first.")
    submission_id: str | None
    celery_task_id: str | None
    retry_of: str | None
    parent_id: str | None = Field(description="The job that this one is a part of.")
    error_message: str | None
    failure: FailureReason | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class Job(JobSummary):
    """Everything that is known of a job."""

    config: dict[str, Any]
    max_retries: int
    metrics: dict[str, float | None] = Field(description="The newest value of every metric.")
    dataset_size: int | None
    train_samples: int | None
    val_samples: int | None
    checkpoint_path: str | None
    onnx_model_path: str | None
    provider_version: str | None = Field(description="Replicate: `owner/name:version` that a training made.")
    input_images_url: str | None = Field(description="What was trained on; stored on success, like the next five.")
    trigger_word: str | None
    captioning: str | None = Field(examples=["automatic", "manual", "disabled"])
    training_steps: int | None
    predict_time: float | None = Field(description="Seconds that the provider worked.")
    total_time: float | None = Field(description="Seconds from the order to the end.")
    mlflow_run_id: str | None
    resume_from: str | None
    retry_message: str | None = Field(description="Why the present attempt was needed.")
    asked: dict[str, datetime] = Field(description="When `save`, `sample` and `finish` were asked for last.")
    facts: dict[str, Any] = Field(description="What the run found out about itself.")
    artifacts: list[ArtifactOut]


class JobList(Wire):
    """A page of jobs. Follow `next_cursor`, or count with `offset`."""

    jobs: list[JobSummary]
    total: int
    parts: dict[str, int] = Field(description="How many jobs are parts of a listed one; those without are left out.")
    next_cursor: str | None
    last_event_id: int = Field(description="Stream on from here (`?after=`) and nothing is missed.")


class MetricOut(Wire):
    """A row for the charts."""

    event_id: int
    timestamp: datetime
    epoch: int
    batch: int | None = Field(description="The step within the epoch; null for the epoch's own row.")
    phase: str | None = Field(examples=["train", "val", "test"])
    train_loss: float | None
    val_loss: float | None
    train_accuracy: float | None
    val_accuracy: float | None
    learning_rate: float | None
    gradient_norm: float | None
    extra: dict[str, float | None] = Field(description="Every other metric of the row.")


class JobDetail(Wire):
    """A job, its last epochs, and where to watch it."""

    job: Job
    recent_metrics: list[MetricOut]
    websocket_url: str = Field(examples=[f"ws://localhost:8001/ws/training/{EXAMPLE_ID}"])
    last_event_id: int


class MetricList(Wire):
    """Rows in the order in which they were reported."""

    job_id: str
    metrics: list[MetricOut]
    thinned: bool = Field(default=False, description="With `most`: there are more rows than these.")


class ProgressPointOut(Wire):
    """How far a job was, and who said so."""

    event_id: int
    timestamp: datetime
    percent: float = Field(description="0 to 100, as it was told; a later attempt may begin again.")
    origin: str = Field(description="`reported` by the run, `parsed` from its log, or `estimated` from the time.")
    attempt: int


class ProgressList(Wire):
    """Points in the order in which they were told."""

    job_id: str
    points: list[ProgressPointOut]


class Deleting(Wire):
    """The job is being stopped; its rows and files go as soon as it has ended."""

    id: str
    status: str = "deleting"


class CancelAnswer(Wire):
    """The job as it stands; it becomes `cancelled` when its workers have ended."""

    job: Job


class AskAnswer(Wire):
    """The job as it stands; `asked` has the request, which the run carries out after its present step."""

    job: Job


class ImportRequest(BaseModel):
    """A training that was started elsewhere."""

    model_config = ConfigDict(extra="forbid")

    provider: Provider = "replicate"
    provider_id: Annotated[str, Field(min_length=1, max_length=255, description="The id that the provider gave it.")]


class JobAnswer(Wire):
    """The job as it stands now."""

    job: Job


class ArtifactList(Wire):
    """What can be downloaded."""

    job_id: str
    artifacts: list[ArtifactOut]


class RetryRequest(BaseModel):
    """How to try again."""

    model_config = ConfigDict(extra="forbid")

    from_checkpoint: Annotated[
        bool,
        Field(description="Go on from the newest checkpoint where there is one. A completed job starts anew."),
    ] = True


class KindOut(Wire):
    """A kind of job and what its specification may hold."""

    kind: str
    backend: str = Field(description="What runs it: ray is this cluster, the others are providers.")
    description: str
    spec: dict[str, Any] = Field(description="JSON schema of the body of POST /api/v1/training/jobs.")


class KindList(Wire):
    """Every kind that can be submitted."""

    kinds: list[KindOut]


class Check(Wire):
    """One part that the service needs."""

    ok: bool
    detail: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None
    took_ms: float


class Health(Wire):
    """Readiness, part by part."""

    status: str = Field(
        examples=["ok", "degraded", "unavailable"],
        description="unavailable: it cannot serve; degraded, only at /api/v1/health: some part does not work.",
    )
    version: str
    streams: int = Field(description="Live clients of this replica.")
    checks: dict[str, Check]
    versions: dict[str, str | None] = Field(
        default_factory=dict, description="Only at /api/v1/health; null: not installed, or it does not answer."
    )


class Alive(Wire):
    """The process answers."""

    status: str = "ok"
