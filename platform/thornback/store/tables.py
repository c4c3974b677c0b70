"""The tables. `TrainingJob.state` is the truth about a job; its other columns are there to be queried."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from thornback.store import tables_access, tables_notify, tables_shards, tables_spend
from thornback.store.columns import BigId, JsonB, SortedText, Uuid
from thornback.store.table import METADATA, Table, double, json, of, text, time

# METADATA knows all tables once this module is loaded, those of the other files too
__all__ = ["METADATA", "tables_access", "tables_notify", "tables_shards", "tables_spend"]


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
        sa.Index("ix_training_jobs_team", "team", "created_at", "id"),
        sa.Index("ix_training_jobs_trigger_word", "trigger_word"),
        sa.Index("ix_training_jobs_completed_at", sa.desc(sa.column("completed_at"))),
        # what trainings of one trainer took, the newest first
        sa.Index("ix_training_jobs_trainer", "provider", "trainer", "completed_at"),
    )

    id: str = Field(sa_type=Uuid, primary_key=True)
    job_name: str = text(255, nullable=False)
    name_key: str = of(SortedText)  # the name with its case folded, to search and to sort by
    kind: str = text(50, nullable=False)
    backend: str = text(50, nullable=False)
    user: str = text(255, nullable=False)
    priority: int = 0
    tags: dict[str, str] = json()
    retry_of: str | None = text(64)
    resume_from: str | None = text()
    parent_id: str | None = Field(default=None, sa_type=Uuid, nullable=True)  # no foreign key: either may go first
    team: str | None = text(100)  # no foreign key: a team may go before its jobs

    status: str = of(SortedText)
    reason: str | None = text()
    stage: str | None = text()
    attempt: int = 0
    submission_id: str | None = text(255)
    cancel_requested: bool = False
    delete_requested: bool = False
    is_active: bool = True  # the dispatcher still has something to do with it
    queue_position: int | None = None
    queue_reason: str | None = text()

    created_at: datetime = time(nullable=False)
    started_at: datetime | None = time()
    completed_at: datetime | None = time()
    eta_at: datetime | None = time()

    config: dict[str, Any] = json(JsonB)
    model_architecture: str | None = text(100)
    current_epoch: int = 0
    total_epochs: int = 0
    progress_percent: float = Field(default=0.0, sa_type=sa.Double())

    train_loss: float | None = double()
    val_loss: float | None = double()
    train_accuracy: float | None = double()
    val_accuracy: float | None = double()
    learning_rate: float | None = double()
    best_epoch: int | None = None
    best_val_loss: float | None = double()

    dataset_size: int | None = Field(default=None, sa_type=sa.BigInteger())
    train_samples: int | None = Field(default=None, sa_type=sa.BigInteger())
    val_samples: int | None = Field(default=None, sa_type=sa.BigInteger())
    checkpoint_path: str | None = text()
    onnx_model_path: str | None = text()
    mlflow_run_id: str | None = text(255)

    # of jobs at a provider; the first six are known once a training has succeeded
    input_images_url: str | None = text()
    trigger_word: str | None = text(255)
    captioning: str | None = text(50)
    training_steps: int | None = None
    predict_time: float | None = double()  # seconds on the provider's machine
    total_time: float | None = double()  # seconds from the order to the end
    provider: str | None = text(50)
    provider_id: str | None = text(255)  # what the provider calls the job
    trainer: str | None = text(200)  # its name in the catalogue
    cost_estimate_usd: float | None = double()
    cost_usd: float | None = double()

    failure: str | None = text(50)
    error_message: str | None = text()

    state: dict[str, Any] = json()  # the whole JobState, see state_codec


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

    timestamp: datetime = time(nullable=False)
    id: str = of(Uuid)  # made from event_id
    training_job_id: str | None = Field(
        default=None,
        sa_column=sa.Column(Uuid, sa.ForeignKey("training_jobs.id", ondelete="CASCADE"), nullable=True),
    )
    event_id: int = Field(sa_type=sa.BigInteger())
    epoch: int
    batch: int | None = None
    phase: str | None = text(20)

    train_loss: float | None = double()
    val_loss: float | None = double()
    train_accuracy: float | None = double()
    val_accuracy: float | None = double()
    learning_rate: float | None = double()
    gradient_norm: float | None = double()
    extra: dict[str, float | None] | None = json(nullable=True)  # what the columns cannot hold


class JobEventRow(Table, table=True):
    """The stream. Metrics and logs have their data in their own tables."""

    __tablename__: ClassVar[str] = "job_events"
    __table_args__ = (
        sa.UniqueConstraint("job_id", "source", "key"),
        sa.Index("ix_job_events_job", "job_id", "id"),
    )

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True, autoincrement=False))  # given by the writer
    job_id: str = of(Uuid)  # no foreign key: the tombstone outlives the job
    source: str = text(50, nullable=False)
    key: str = text(255, nullable=False)
    kind: str = text(50, nullable=False)
    data: dict[str, Any] | None = json(nullable=True)
    at: datetime = time(nullable=False)


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
    lines: list[str] = json()
    at: datetime = time(nullable=False)


class IdempotencyKey(Table, table=True):
    """Which job a client's Idempotency-Key made."""

    __tablename__: ClassVar[str] = "idempotency_keys"
    __table_args__ = (
        sa.PrimaryKeyConstraint("user", "key"),
        sa.Index("ix_idempotency_keys_created_at", "created_at"),
        sa.Index("ix_idempotency_keys_job_id", "job_id"),
    )

    user: str = text(255, nullable=False)
    key: str = text(255, nullable=False)
    request_hash: str = text(128, nullable=False)
    job_id: str = of(Uuid)
    created_at: datetime = time(nullable=False)


class JobItem(Table, table=True):
    """One item of a job: its newest order at a provider, see `jobs.items.ItemState`."""

    __tablename__: ClassVar[str] = "job_items"
    __table_args__ = (sa.PrimaryKeyConstraint("job_id", "item"),)

    job_id: str = Field(
        sa_column=sa.Column(Uuid, sa.ForeignKey("training_jobs.id", ondelete="CASCADE"), nullable=False)
    )
    item: int
    order_number: int
    status: str = text(20, nullable=False)
    provider: str = text(50, nullable=False)
    provider_id: str | None = text(255)
    intended_at: datetime | None = time()
    sent_at: datetime | None = time()
    ended_at: datetime | None = time()
    webhook_at: datetime | None = time()
    via: str | None = text(20)
    error: str | None = text()
    outputs: list[str] = json()
    uri: str | None = text()
    content_type: str | None = text(255)
    size_bytes: int | None = Field(default=None, sa_type=sa.BigInteger())
    sha256: str | None = text(64)


class ProviderOrder(Table, table=True):
    """Which order a provider's id belongs to, older orders of an item included."""

    __tablename__: ClassVar[str] = "provider_orders"
    __table_args__ = (
        # all of it is the key: what has been told is never changed, so that the order of telling does not matter
        sa.PrimaryKeyConstraint("provider", "provider_id", "job_id", "item", "order_number"),
        sa.Index("ix_provider_orders_job_id", "job_id"),
    )

    provider: str = text(50, nullable=False)
    provider_id: str = text(255, nullable=False)
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
    provider: str = text(50, nullable=False)
    delivery_id: str = text(255, nullable=False)
    received_at: datetime = time(nullable=False)
    provider_id: str | None = text(255)
    job_id: str | None = Field(default=None, sa_type=Uuid, nullable=True)  # no foreign key: it outlives the job
    item: int | None = None
    status: str | None = text(50)  # the provider's word
    body: str = text(nullable=False)
    problem: str | None = text()
    state: str = text(20, nullable=False)  # applied, dead


class Model(Table, table=True):
    """A model that is trained again and again."""

    __tablename__: ClassVar[str] = "models"
    __table_args__ = (sa.UniqueConstraint("user", "name"), sa.Index("ix_models_team", "team", "id"))

    id: int | None = Field(default=None, sa_column=sa.Column(BigId, primary_key=True))
    user: str = text(255, nullable=False)
    name: str = text(255, nullable=False)
    created_at: datetime = time(nullable=False)
    team: str | None = text(100)  # of the job that made its first version
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
    job_id: str = of(Uuid)  # no foreign key: a version that is in use outlives its job
    key: str = text(nullable=False)  # of the weights, below the storage
    size_bytes: int = Field(sa_type=sa.BigInteger())
    sha256: str = text(64, nullable=False)
    created_at: datetime = time(nullable=False)
    config: dict[str, Any] = json()
    lineage: dict[str, Any] = json()
    notes: str = text(nullable=False)


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
    alias: str = text(100, nullable=False)
    version: int
    set_at: datetime = time(nullable=False)
    set_by: str = text(255, nullable=False)


class PlatformSetting(Table, table=True):
    """What people have set while the platform runs, and what has to outlive a restart."""

    __tablename__: ClassVar[str] = "platform_settings"

    name: str = Field(sa_column=sa.Column(sa.String(100), primary_key=True))
    value: dict[str, Any] = json()
    set_at: datetime = time(nullable=False)
    set_by: str = text(255, nullable=False)
