"""What the API answers, as typed values. Members that this version does not know are kept, not refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from thornback.jobs.events import EventKind
from thornback.jobs.status import JobStatus


class _Answer(BaseModel):
    """Base: frozen, and open to members of newer servers (`job.model_extra`)."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", frozen=True)


class Artifact(_Answer):
    """A file that a job produced; fetch it with `client.download`."""

    name: str
    type: str
    uri: str
    size_bytes: int | None = None
    sha256: str | None = None


class Job(_Answer):
    """One job as the API shows it."""

    id: str
    job_name: str
    status: JobStatus
    kind: str = "convnext"
    user: str = ""
    team: str | None = None  # whose members see it
    priority: int = 0
    config: Mapping[str, Any] = {}
    tags: Mapping[str, str] = {}
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None

    stage: str | None = None
    reason: str | None = None
    queue_position: int | None = None
    attempt: int = 0
    submission_id: str | None = None
    retry_of: str | None = None
    parent_id: str | None = None
    cancel_requested: bool = False

    current_epoch: int = 0
    total_epochs: int = 0
    progress_percent: float = 0.0
    progress_origin: str | None = None  # reported, parsed or estimated
    eta_at: datetime | None = None
    eta_seconds: float | None = None

    train_loss: float | None = None
    val_loss: float | None = None
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    learning_rate: float | None = None
    best_epoch: int | None = None
    best_val_loss: float | None = None

    model_architecture: str | None = None
    dataset_size: int | None = None
    train_samples: int | None = None
    val_samples: int | None = None
    backend: str = "ray"
    provider: str | None = None  # who runs it, where that is not the server's own cluster
    provider_id: str | None = None
    provider_url: str | None = None  # the provider's page about it
    cost_estimate_usd: float | None = None
    cost_usd: float | None = None
    images_total: int | None = None  # of an image set
    images_done: int | None = None
    images_failed: int | None = None

    checkpoint_path: str | None = None
    onnx_model_path: str | None = None
    mlflow_run_id: str | None = None
    retry_message: str | None = None
    failure: str | None = None
    error_message: str | None = None
    asked: Mapping[str, datetime] = {}  # when save, sample and finish were asked for last
    facts: Mapping[str, Any] = {}  # what the run stated about itself: class_names, confusion_matrix, …

    @property
    def is_final(self) -> bool:
        """True where nothing can change any more."""
        return self.status.is_final


class JobPage(_Answer):
    """Some jobs, how many there are, and how to go on."""

    jobs: list[Job]
    total: int
    next_cursor: str | None = None


class MetricRow(_Answer):
    """One row for the charts."""

    epoch: int
    batch: int | None = None
    phase: str | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    extra: Mapping[str, float | None] = {}


class JobDetail(_Answer):
    """A job with its last epochs, and the event id from which a stream goes on without a gap."""

    job: Job
    recent_metrics: list[MetricRow] = []
    websocket_url: str | None = None
    last_event_id: int = 0


class Event(_Answer):
    """One fact of a stream; `id` grows and is the cursor to go on from."""

    id: int
    job_id: str
    kind: EventKind
    at: datetime
    data: Mapping[str, Any] = {}


class Update(_Answer):
    """What `watch` hands out: a job and the event that led there, None for the state at the beginning."""

    job: Job
    event: Event | None = None


class LogLines(_Answer):
    """Lines that one process of a job printed."""

    event_id: int
    lines: list[str]
    rank: int = -1  # -1 is the driver
    attempt: int = 1
    timestamp: datetime | None = None


class Health(_Answer):
    """The answer of /readyz; `ready` is its status code, the rest its body."""

    ready: bool


class Delivery(_Answer):
    """A webhook in the server's inbox; `state` is applied or dead."""

    id: int
    provider: str
    delivery_id: str
    state: str
    received_at: datetime
    provider_id: str | None = None
    job_id: str | None = None
    item: int | None = None
    status: str | None = None
    problem: str | None = None
    body: str | None = None  # of `Client.delivery` alone


class DeliveryPage(_Answer):
    """Some of the inbox, the newest first."""

    deliveries: tuple[Delivery, ...]
    next_cursor: str | None = None


class Receipt(_Answer):
    """What became of a webhook."""

    is_new: bool
    events: int
    problem: str | None = None


class Item(_Answer):
    """An image of a set, or the training of a job at a provider: its newest order."""

    item: int
    status: str
    order: int = 0
    prompt: str | None = None
    provider_id: str | None = None
    webhook_at: datetime | None = None
    error: str | None = None
    storage_key: str | None = None
    image_url: str | None = None


class ImageSet(_Answer):
    """A set of images; its id is that of its job. A list has no `items`."""

    id: str
    job_name: str
    character: str
    status: JobStatus
    progress_percent: float = 0.0
    total: int = 0
    done: int = 0
    failed: int = 0
    success_rate: float | None = None  # of those that ended
    error_message: str | None = None
    created_at: datetime | None = None
    items: list[Item] = []

    @property
    def is_final(self) -> bool:
        """True where nothing can change any more."""
        return self.status.is_final


class ImageSetPage(_Answer):
    """Some sets and how to go on."""

    image_sets: list[ImageSet]
    next_cursor: str | None = None


class ModelVersion(_Answer):
    """One version of a model; whoever has `model_url` can fetch its weights for a while."""

    model: str
    version: int
    aliases: list[str] = []  # `latest` is the greatest number
    job_id: str
    model_url: str
    url_expires_at: datetime | None = None
    storage_key: str
    size_bytes: int
    sha256: str
    created_at: datetime
    config: Mapping[str, Any] = {}  # trigger, steps, learning_rate, frame_count and more
    notes: str = ""


class Model(_Answer):
    """What was trained under one name."""

    name: str
    versions: int
    aliases: Mapping[str, int]
    latest: ModelVersion


class ModelPage(_Answer):
    """Some models and how to go on."""

    models: list[Model]
    next_cursor: str | None = None


class VersionPage(_Answer):
    """Some versions and how to go on."""

    versions: list[ModelVersion]
    next_cursor: str | None = None


class Difference(_Answer):
    """A field that two versions do not have in common."""

    field: str
    a: Any = None
    b: Any = None


class Comparison(_Answer):
    """Two versions side by side."""

    a: ModelVersion
    b: ModelVersion
    changed: list[Difference]
    same: Mapping[str, Any]


class Upload(_Answer):
    """A file that is sent in parts; once it is `ready`, `uri` is for `config.dataset` or a video's address."""

    id: str
    uri: str
    state: str  # receiving, checking, ready or refused
    offset: int  # bytes that are there
    length: int
    filename: str | None = None
    content: str | None = None  # pictures or video
    images: int | None = None
    captions: int | None = None
    video: Mapping[str, Any] | None = None
    sha256: str | None = None
    problem: str | None = None  # why it was refused


class Dataset(_Answer):
    """A dataset that was sent; `uri` is for `config.dataset`."""

    id: str
    uri: str
    images: int
    captions: int
    size_bytes: int
    sha256: str


class QueueHold(_Answer):
    """The queue is paused: nothing new is started, what runs goes on."""

    by: str
    at: datetime
    reason: str = ""


class WaitingJob(_Answer):
    """A job that waits to be started."""

    id: str
    job_name: str
    user: str
    kind: str
    backend: str
    queue: str  # the backend whose slots or machines it waits for
    position: int | None = None  # 1 is next; None: not looked at yet
    priority: int
    reason: str | None = None
    created_at: datetime | None = None


class QueueState(_Answer):
    """Who waits for what, next one first; every backend has a queue of its own."""

    paused: QueueHold | None = None
    waiting: list[WaitingJob]


class Session(_Answer):
    """Who you are to the server."""

    access_control: bool  # False: whoever reaches the server may do everything
    user: str | None = None
    role: str | None = None
    via: str | None = None  # open, key or session
    teams: list[str] = []


class User(_Answer):
    """Somebody who can sign in."""

    name: str
    role: str
    is_active: bool
    has_password: bool
    created_at: datetime
    teams: list[str] = []


class Team(_Answer):
    """Users who share jobs and models."""

    id: str
    name: str
    created_at: datetime
    members: list[str]


class AuditVerdict(_Answer):
    """Whether the audit log is as it was written."""

    ok: bool
    entries: int  # that are right, from the first on
    head: str  # number and hash of the last of them
    problem: str | None = None


class ApiKey(_Answer):
    """An API key without its secret."""

    id: str
    user: str
    label: str
    role: str | None = None  # at most this
    scopes: tuple[str, ...] | None = None  # None: all, as for teams and kinds
    teams: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None


class NewApiKey(ApiKey):
    """A key with its secret."""

    api_key: str


class Ticket(_Answer):
    """`?ticket=` of a stream."""

    ticket: str
    expires_at: datetime
