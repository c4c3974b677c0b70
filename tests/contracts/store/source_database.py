"""A database as the source's own documentation describes it, made by its own SQL, with rows."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg

JOBS = """
CREATE TABLE training_jobs (
    id UUID PRIMARY KEY,
    job_name VARCHAR(255) NOT NULL,
    celery_task_id VARCHAR(255) UNIQUE,
    status VARCHAR(50) DEFAULT 'pending',
    created_at TIMESTAMP,
    started_at TIMESTAMP,
    completed_at TIMESTAMP,
    config JSONB NOT NULL,
    current_epoch INTEGER DEFAULT 0,
    total_epochs INTEGER NOT NULL,
    progress_percent FLOAT DEFAULT 0.0,
    train_loss FLOAT,
    val_loss FLOAT,
    train_accuracy FLOAT,
    val_accuracy FLOAT,
    learning_rate FLOAT,
    best_epoch INTEGER,
    best_val_loss FLOAT,
    checkpoint_path VARCHAR(512),
    onnx_model_path VARCHAR(512),
    mlflow_run_id VARCHAR(255),
    error_message TEXT,
    dataset_size INTEGER,
    train_samples INTEGER,
    val_samples INTEGER,
    model_architecture VARCHAR(100)
)
"""
METRICS = """
CREATE TABLE training_metrics (
    timestamp TIMESTAMP NOT NULL,
    id UUID NOT NULL,
    training_job_id UUID REFERENCES training_jobs(id),
    epoch INTEGER NOT NULL,
    batch INTEGER,
    train_loss FLOAT,
    val_loss FLOAT,
    train_accuracy FLOAT,
    val_accuracy FLOAT,
    learning_rate FLOAT,
    gradient_norm FLOAT,
    phase VARCHAR(20),
    PRIMARY KEY (timestamp, id)
)
"""

DONE = "99db769e-1dbb-4f26-a78e-07f0aeda3e8f"
FAILED = "2826a3a2-ba9e-47f4-ac94-f47ca1d429cd"
WAITING = "11111111-1111-4111-8111-111111111111"
RUNNING = "22222222-2222-4222-8222-222222222222"

_JOB_ROWS: list[dict[str, Any]] = [
    {
        "id": DONE,
        "job_name": "My Training Job",
        "celery_task_id": "celery-1",
        "status": "completed",
        "created_at": "2025-11-01 23:51:16",
        "started_at": "2025-11-01 23:51:20",
        "completed_at": "2025-11-02 03:00:00.250000",
        "config": '{"epochs": 100, "batch_size": 32, "model_architecture": "convnext_large"}',
        "current_epoch": 3,
        "total_epochs": 100,
        "progress_percent": 100.0,
        "train_loss": 0.234,
        "val_loss": 0.267,
        "val_accuracy": 0.84,
        "learning_rate": 0.0005,
        "best_epoch": 2,
        "best_val_loss": 0.25,
        "checkpoint_path": "/models/best.ckpt",
        "onnx_model_path": "/models/best.onnx",
        "mlflow_run_id": "abc",
        "dataset_size": 1000,
        "train_samples": 800,
        "val_samples": 200,
        "model_architecture": "convnext_large",
    },
    {
        "id": FAILED,
        "job_name": "Too large",
        "celery_task_id": "celery-2",
        "status": "failed",
        "created_at": "2025-11-02 10:00:00",
        "completed_at": "2025-11-02 10:01:00",
        "config": "{}",
        "current_epoch": 0,
        "total_epochs": 10,
        "progress_percent": 12.5,
        "error_message": "CUDA out of memory. Tried to allocate 2.00 GB...",
    },
    {"id": WAITING, "job_name": "Waiting", "created_at": None, "config": '{"epochs": 5}', "total_epochs": 5},
    {
        "id": RUNNING,
        "job_name": "Left running",
        "celery_task_id": "celery-3",
        "status": "running",
        "created_at": "2025-11-03 10:00:00",
        "started_at": "2025-11-03 10:00:05",
        "config": '{"epochs": 5}',
        "current_epoch": 2,
        "total_epochs": 5,
        "progress_percent": 40.0,
    },
]


def _metric_rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "timestamp": f"2025-11-02 0{epoch}:00:00",
            "id": f"aaaaaaaa-0000-4000-8000-{epoch:012d}",
            "training_job_id": DONE,
            "epoch": epoch,
            "train_loss": 1.0 / epoch,
            "val_loss": 1.5 / epoch,
            "gradient_norm": 0.5,
            "phase": "val",
        }
        for epoch in (1, 2, 3)
    ]
    # The source's table allows a second row of one epoch, a row without a phase, and one of no job.
    rows.append({**rows[2], "timestamp": "2025-11-02 03:30:00", "val_loss": 9.0})
    rows.append({**rows[0], "timestamp": "2025-11-02 03:40:00", "batch": 7, "phase": None})
    rows.append({**rows[0], "timestamp": "2025-11-02 03:50:00", "training_job_id": None})
    return rows


def make_source_database(url: str) -> None:
    """Create the tables and the rows with the database's own driver."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        for statement in (JOBS, METRICS):
            connection.execute(statement)
        for table, rows in (("training_jobs", _JOB_ROWS), ("training_metrics", _metric_rows())):
            for row in rows:
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        connection.commit()
        connection.close()
        return
    with psycopg.connect(url) as postgres:
        for statement in (JOBS, METRICS):
            postgres.execute(statement)
        for table, rows in (("training_jobs", _JOB_ROWS), ("training_metrics", _metric_rows())):
            for row in rows:
                marks = ", ".join(["%s"] * len(row))
                insert = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
                postgres.execute(insert.encode(), list(row.values()))
