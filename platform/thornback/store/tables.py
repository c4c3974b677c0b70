"""The tables. `TrainingJob.state` is the truth about a job; its other columns are there to be queried."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from thornback.store.columns import BigId, Json, JsonB, SortedText, UtcDateTime, Uuid

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA = sa.MetaData(naming_convention=NAMES)


class Table(SQLModel, registry=registry(metadata=METADATA)):
    """Base of our tables, with its own metadata."""

    metadata: ClassVar[sa.MetaData] = METADATA


def _text(length: int | None = None, *, nullable: bool = True) -> Any:
    return Field(default=None, sa_type=sa.String(length) if length else sa.Text(), nullable=nullable)


def _time(*, nullable: bool = True) -> Any:
    return Field(default=None, sa_type=UtcDateTime(), nullable=nullable)


def _json(kind: Any = Json, *, nullable: bool = False) -> Any:
    return Field(default=None, sa_type=kind, nullable=nullable)


def _of(kind: Any) -> Any:
    return Field(default=None, sa_type=kind, nullable=False)


def _float() -> Any:
    return Field(default=None, sa_type=sa.Double(), nullable=True)


class TrainingJob(Table, table=True):
    """One job of any kind."""

    __tablename__: ClassVar[str] = "training_jobs"
    __table_args__ = (
        # one index for each sort of the list, ending in the id that makes the order total
        sa.Index("ix_training_jobs_created_at", "created_at", "id"),
        sa.Index("ix_training_jobs_status", "status", "created_at", "id"),
        sa.Index("ix_training_jobs_user", "user", "created_at", "id"),
        sa.Index("ix_training_jobs_name_key", "name_key", "id"),
        sa.Index("ix_training_jobs_progress_percent", "progress_percent", "id"),
        sa.Index("ix_training_jobs_priority", "priority", "id"),
        sa.Index("ix_training_jobs_is_active", "is_active", "created_at", "id"),
        sa.Index("ix_training_jobs_queue_position", "queue_position"),
        sa.Index("ix_training_jobs_parent_id", "parent_id", "created_at", "id"),
        sa.Index("ix_training_jobs_trigger_word", "trigger_word"),
        sa.Index("ix_training_jobs_completed_at", sa.desc(sa.column("completed_at"))),
        # what trainings of one trainer took, the newest first
        sa.Index("ix_training_jobs_trainer", "provider", "trainer", "completed_at"),
    )

    id: str = Field(sa_type=Uuid, primary_key=True)
    job_name: str = _text(255, nullable=False)
    name_key: str = _of(SortedText)  # the name with its case folded, to search and to sort by
    kind: str = _text(50, nullable=False)
    backend: str = _text(50, nullable=False)
    user: str = _text(255, nullable=False)
    priority: int = 0
    tags: dict[str, str] = _json()
    retry_of: str | None = _text(64)
    resume_from: str | None = _text()
    parent_id: str | None = Field(default=None, sa_type=Uuid, nullable=True)  # no foreign key: either may go first

    status: str = _of(SortedText)
    reason: str | None = _text()
    stage: str | None = _text()
    attempt: int = 0
    submission_id: str | None = _text(255)
    cancel_requested: bool = False
    delete_requested: bool = False
    is_active: bool = True  # the dispatcher still has something to do with it
    queue_position: int | None = None
    queue_reason: str | None = _text()

    created_at: datetime = _time(nullable=False)
    started_at: datetime | None = _time()
    completed_at: datetime | None = _time()
    eta_at: datetime | None = _time()

    config: dict[str, Any] = _json(JsonB)
    model_architecture: str | None = _text(100)
    current_epoch: int = 0
    total_epochs: int = 0
    progress_percent: float = Field(default=0.0, sa_type=sa.Double())

    train_loss: float | None = _float()
    val_loss: float | None = _float()
    train_accuracy: float | None = _float()
    val_accuracy: float | None = _float()
    learning_rate: float | None = _float()
    best_epoch: int | None = None
    best_val_loss: float | None = _float()

    dataset_size: int | None = Field(default=None, sa_type=sa.BigInteger())
    train_samples: int | None = Field(default=None, sa_type=sa.BigInteger())
    val_samples: int | None = Field(default=None, sa_type=sa.BigInteger())
    checkpoint_path: str | None = _text()
    onnx_model_path: str | None = _text()
    mlflow_run_id: str | None = _text(255)

    # of jobs at a provider; the first six are known once a training has succeeded
    input_images_url: str | None = _text()
    trigger_word: str | None = _text(255)
    captioning: str | None = _text(50)
    training_steps: int | None = None
    predict_time: float | None = _float()  # seconds on the provider's machine
    total_time: float | None = _float()  # seconds from the order to the end
    provider: str | None = _text(50)
    provider_id: str | None = _text(255)  # what the provider calls the job
    trainer: str | None = _text(200)  # its name in the catalogue
    cost_estimate_usd: float | None = _float()
    cost_usd: float | None = _float()

    failure: str | None = _text(50)
    error_message: str | None = _text()

    state: dict[str, Any] = _json()  # the whole JobState, see state_codec


class TrainingMetric(Table, table=True):
    """One row for the charts. A hypertable where TimescaleDB is installed, hence the key with the time in it."""

    __tablename__: ClassVar[str] = "training_metrics"
    __table_args__ = (
        sa.PrimaryKeyConstraint("timestamp", "id"),
        sa.Index("ix_training_metrics_job", "training_job_id", "event_id"),
        # charts ask for epochs; they stand among many times as many steps
        sa.Index(
            "ix_training_metrics_epochs",
            "training_job_id",
            "event_id",
            sqlite_where=sa.text("batch IS NULL"),
            postgresql_where=sa.text("batch IS NULL"),
        ),
    )

    timestamp: datetime = _time(nullable=False)
    id: str = _of(Uuid)  # made from event_id
    training_job_id: str | None = Field(
        default=None,
        sa_column=sa.Column(Uuid, sa.ForeignKey("training_jobs.id", ondelete="CASCADE"), nullable=True),
    )
    event_id: int = Field(sa_type=sa.BigInteger())
    epoch: int
    batch: int | None = None
    phase: str | None = _text(20)

    train_loss: float | None = _float()
    val_loss: float | None = _float()
    train_accuracy: float | None = _float()
    val_accuracy: float | None = _float()
    learning_rate: float | None = _float()
    gradient_norm: float | None = _float()
    extra: dict[str, float | None] | None = _json(nullable=True)  # what the columns cannot hold


class JobEventRow(Table, table=True):
    """The stream. Metrics and logs have their data in their own tables."""

    __tablename__: ClassVar[str] = "job_events"
    __table_args__ = (
        sa.UniqueConstraint("job_id", "source", "key"),
        sa.Index("ix_job_events_job", "job_id", "id"),
    )

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True, autoincrement=False))  # given by the writer
    job_id: str = _of(Uuid)  # no foreign key: the tombstone outlives the job
    source: str = _text(50, nullable=False)
    key: str = _text(255, nullable=False)
    kind: str = _text(50, nullable=False)
    data: dict[str, Any] | None = _json(nullable=True)
    at: datetime = _time(nullable=False)


class JobLog(Table, table=True):
    """Lines that one process of a job printed, in the pieces in which they came."""

    __tablename__: ClassVar[str] = "job_logs"
    __table_args__ = (sa.Index("ix_job_logs_job", "job_id", "event_id"),)

    event_id: int = Field(sa_column=sa.Column(BigId, primary_key=True, autoincrement=False))
    job_id: str = Field(
        sa_column=sa.Column(Uuid, sa.ForeignKey("training_jobs.id", ondelete="CASCADE"), nullable=False)
    )
    attempt: int
    restart: int
    rank: int  # -1: the driver
    seq: int = Field(sa_type=sa.BigInteger())
    lines: list[str] = _json()
    at: datetime = _time(nullable=False)


class IdempotencyKey(Table, table=True):
    """Which job a client's Idempotency-Key made."""

    __tablename__: ClassVar[str] = "idempotency_keys"
    __table_args__ = (
        sa.PrimaryKeyConstraint("user", "key"),
        sa.Index("ix_idempotency_keys_created_at", "created_at"),
        sa.Index("ix_idempotency_keys_job_id", "job_id"),
    )

    user: str = _text(255, nullable=False)
    key: str = _text(255, nullable=False)
    request_hash: str = _text(128, nullable=False)
    job_id: str = _of(Uuid)
    created_at: datetime = _time(nullable=False)


class JobItem(Table, table=True):
    """One item of a job: its newest order at a provider, see `jobs.items.ItemState`."""

    __tablename__: ClassVar[str] = "job_items"
    __table_args__ = (sa.PrimaryKeyConstraint("job_id", "item"),)

    job_id: str = Field(
        sa_column=sa.Column(Uuid, sa.ForeignKey("training_jobs.id", ondelete="CASCADE"), nullable=False)
    )
    item: int
    order_number: int
    status: str = _text(20, nullable=False)
    provider: str = _text(50, nullable=False)
    provider_id: str | None = _text(255)
    intended_at: datetime | None = _time()
    sent_at: datetime | None = _time()
    ended_at: datetime | None = _time()
    webhook_at: datetime | None = _time()
    via: str | None = _text(20)
    error: str | None = _text()
    outputs: list[str] = _json()
    uri: str | None = _text()
    content_type: str | None = _text(255)
    size_bytes: int | None = Field(default=None, sa_type=sa.BigInteger())
    sha256: str | None = _text(64)


class ProviderOrder(Table, table=True):
    """Which order a provider's id belongs to, older orders of an item included."""

    __tablename__: ClassVar[str] = "provider_orders"
    __table_args__ = (
        # all of it is the key: what has been told is never changed, so that the order of telling does not matter
        sa.PrimaryKeyConstraint("provider", "provider_id", "job_id", "item", "order_number"),
        sa.Index("ix_provider_orders_job_id", "job_id"),
    )

    provider: str = _text(50, nullable=False)
    provider_id: str = _text(255, nullable=False)
    job_id: str = Field(
        sa_column=sa.Column(Uuid, sa.ForeignKey("training_jobs.id", ondelete="CASCADE"), nullable=False)
    )
    item: int
    order_number: int


class WebhookDelivery(Table, table=True):
    """The inbox: every webhook whose signature was good.

    When its job is deleted, a row loses its body and stays, so that a repeat is still known as one.
    """

    __tablename__: ClassVar[str] = "webhook_deliveries"
    __table_args__ = (
        sa.UniqueConstraint("provider", "delivery_id"),
        sa.Index("ix_webhook_deliveries_provider_id", "provider_id", "provider", "id"),
        sa.Index("ix_webhook_deliveries_job_id", "job_id", "id"),
        sa.Index("ix_webhook_deliveries_state", "state", "id"),
        sa.Index("ix_webhook_deliveries_received_at", "state", "received_at"),
        {"sqlite_autoincrement": True},  # the number of a discarded row is not given again
    )

    id: int | None = Field(default=None, sa_column=sa.Column(BigId, primary_key=True))
    provider: str = _text(50, nullable=False)
    delivery_id: str = _text(255, nullable=False)
    received_at: datetime = _time(nullable=False)
    provider_id: str | None = _text(255)
    job_id: str | None = Field(default=None, sa_type=Uuid, nullable=True)  # no foreign key: it outlives the job
    item: int | None = None
    status: str | None = _text(50)  # the provider's word
    body: str = _text(nullable=False)
    problem: str | None = _text()
    state: str = _text(20, nullable=False)  # applied, dead


class Model(Table, table=True):
    """A model that is trained again and again."""

    __tablename__: ClassVar[str] = "models"
    __table_args__ = (sa.UniqueConstraint("user", "name"),)

    id: int | None = Field(default=None, sa_column=sa.Column(BigId, primary_key=True))
    user: str = _text(255, nullable=False)
    name: str = _text(255, nullable=False)
    created_at: datetime = _time(nullable=False)
    newest: int = 0  # the greatest number that was ever given; a number is not given again


class ModelVersionRow(Table, table=True):
    """One version: it is here when its files are whole. A job makes one, so that two never share files."""

    __tablename__: ClassVar[str] = "model_versions"
    __table_args__ = (
        sa.PrimaryKeyConstraint("model_id", "version"),
        sa.UniqueConstraint("job_id"),
    )

    model_id: int = Field(sa_column=sa.Column(BigId, sa.ForeignKey("models.id", ondelete="CASCADE"), nullable=False))
    version: int
    job_id: str = _of(Uuid)  # no foreign key: a version that is in use outlives its job
    key: str = _text(nullable=False)  # of the weights, below the storage
    size_bytes: int = Field(sa_type=sa.BigInteger())
    sha256: str = _text(64, nullable=False)
    created_at: datetime = _time(nullable=False)
    config: dict[str, Any] = _json()
    lineage: dict[str, Any] = _json()
    notes: str = _text(nullable=False)


class ModelAlias(Table, table=True):
    """A name for one version of a model, e.g. production."""

    __tablename__: ClassVar[str] = "model_aliases"
    __table_args__ = (
        sa.PrimaryKeyConstraint("model_id", "alias"),
        sa.ForeignKeyConstraint(
            ["model_id", "version"], ["model_versions.model_id", "model_versions.version"], ondelete="CASCADE"
        ),
    )

    model_id: int = Field(sa_type=BigId)
    alias: str = _text(100, nullable=False)
    version: int
    set_at: datetime = _time(nullable=False)
    set_by: str = _text(255, nullable=False)


class PlatformSetting(Table, table=True):
    """What people have set while the platform runs, and what has to outlive a restart."""

    __tablename__: ClassVar[str] = "platform_settings"

    name: str = Field(sa_column=sa.Column(sa.String(100), primary_key=True))
    value: dict[str, Any] = _json()
    set_at: datetime = _time(nullable=False)
    set_by: str = _text(255, nullable=False)


class UserRow(Table, table=True):
    """Somebody who can sign in."""

    __tablename__: ClassVar[str] = "users"

    name: str = Field(sa_column=sa.Column(sa.String(100), primary_key=True))
    role: str = _text(20, nullable=False)
    is_active: bool = True
    password_hash: str | None = _text(255)
    created_at: datetime = _time(nullable=False)


class ApiKeyRow(Table, table=True):
    """An API key; of its secret only a digest."""

    __tablename__: ClassVar[str] = "api_keys"
    __table_args__ = (sa.Index("ix_api_keys_user", "user", "created_at"),)

    id: str = Field(sa_column=sa.Column(sa.String(16), primary_key=True))
    user: str = Field(
        sa_column=sa.Column(sa.String(100), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False)
    )
    digest: str = _text(64, nullable=False)
    label: str = _text(100, nullable=False)
    role: str | None = _text(20)
    created_at: datetime = _time(nullable=False)
    expires_at: datetime | None = _time()
    revoked_at: datetime | None = _time()
    used_at: datetime | None = _time()


class SessionRow(Table, table=True):
    """A browser that is signed in."""

    __tablename__: ClassVar[str] = "sessions"
    __table_args__ = (sa.Index("ix_sessions_user", "user"), sa.Index("ix_sessions_expires_at", "expires_at"))

    id: str = Field(sa_column=sa.Column(sa.String(16), primary_key=True))
    user: str = Field(
        sa_column=sa.Column(sa.String(100), sa.ForeignKey("users.name", ondelete="CASCADE"), nullable=False)
    )
    digest: str = _text(64, nullable=False)
    created_at: datetime = _time(nullable=False)
    expires_at: datetime = _time(nullable=False)
