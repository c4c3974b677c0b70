"""Who is told of what happens, and where logs and traces go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from thornback.settings.values import AlertRule


class Notices(BaseSettings):
    """Who is told of what happens, and where logs and traces go."""

    alerts: Annotated[
        list[AlertRule],
        Field(
            description="When failed jobs are worth an alert, a JSON list, e.g. "
            '[{"name": "prod", "tags": {"env": "prod"}}, {"name": "many", "failures": 3, "within_minutes": 60}].'
        ),
    ] = [AlertRule(name="three within the hour", failures=3)]
    notify_per_receiver: Annotated[
        int, Field(ge=1, le=64, description="Webhooks that may be on their way to one receiver at once.")
    ] = 4
    notify_at_once: Annotated[int, Field(ge=2, le=1000, description="And to all receivers together.")] = 64
    notify_progress_s: Annotated[
        float, Field(ge=0.1, description="Progress of a job is told to a webhook at most once in this time.")
    ] = 10.0
    notify_disable_days: Annotated[
        float, Field(gt=0, description="A webhook that has taken nothing for so long is disabled.")
    ] = 5.0
    notify_keep_days: Annotated[
        float, Field(gt=0, description="What was sent, and what was given up, is kept for so long.")
    ] = 30.0
    smtp_host: Annotated[str | None, Field(description="The mail server for webhooks to e-mail; empty: none.")] = None
    smtp_port: Annotated[int, Field(ge=1, le=65_535, description="Its port.")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"], Field(description="none: only for a server on this machine.")
    ] = "starttls"
    smtp_user: Annotated[str | None, Field(description="Who signs in there; empty: nobody has to.")] = None
    smtp_password: Annotated[str | None, Field(repr=False, description="Of that user.")] = None
    smtp_from: Annotated[str | None, Field(description="The sender, e.g. Thornback <train@example.org>.")] = None
    mlflow_tracking_uri: Annotated[
        str | None, Field(description="Runs are also written to this MLflow; empty: to none.")
    ] = None
    otlp_endpoint: Annotated[
        str | None,
        Field(description="Traces go there by OTLP over HTTP, e.g. http://127.0.0.1:4318; empty: nowhere."),
    ] = None
    traceparent: Annotated[
        str | None, Field(description="The trace that a job's driver belongs to; set by the platform, not by people.")
    ] = None
    log_format: Annotated[
        Literal["auto", "json", "text"],
        Field(
            description="json: each line of our processes, drivers and workers is a JSON object with job_id, attempt "
            "and trace_id; auto: our own are, except on a terminal, and jobs print as they like."
        ),
    ] = "auto"
    log_level: Annotated[str, Field(description="DEBUG, INFO, WARNING or ERROR.")] = "INFO"
