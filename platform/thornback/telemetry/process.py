"""The first thing that an actor, a replica, a driver or a worker does: logs, metrics, traces, each of them one way."""

from __future__ import annotations

from thornback.log import configure_logging
from thornback.settings import Settings, load_settings
from thornback.telemetry import traces
from thornback.telemetry.exporter import export_to_ray
from thornback.telemetry.printed import print_json


def begin(settings: Settings, component: str) -> None:
    """Set up what this process tells of itself. It is connected to Ray.

    Args:
        settings: of the platform.
        component: what the process is, e.g. dispatcher.
    """
    configure_logging(
        settings.log_level, secrets=settings.secrets, form=settings.log_format, about={"process": component}
    )
    export_to_ray(component)
    traces.configure(settings, component)


def begin_run(job_id: str, *, attempt: int, rank: int) -> str | None:
    """The same for a driver (rank -1) or a worker of a job; returns the `traceparent` that it belongs to.

    The settings are those that its environment holds.
    """
    settings = load_settings()
    component = "driver" if rank < 0 else "worker"
    if settings.log_format == "json":
        about: dict[str, str | int] = {"process": component, "job_id": job_id, "attempt": attempt, "rank": rank}
        if settings.traceparent is not None:
            about["trace_id"] = settings.traceparent.split("-")[1]
        configure_logging(settings.log_level, secrets=settings.secrets, form="json", about=about)
        print_json(about)
    export_to_ray()
    traces.configure(settings, component)
    return settings.traceparent
