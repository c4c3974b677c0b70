"""The first thing that an actor, a replica, a driver or a worker does: logs, metrics, traces, each of them one way."""

from __future__ import annotations

from thornback.log import configure_logging
from thornback.settings import Settings
from thornback.telemetry.exporter import export_to_ray


def begin(settings: Settings, component: str) -> None:
    """Set up what this process tells of itself. It is connected to Ray.

    Args:
        settings: of the platform.
        component: what the process is, e.g. dispatcher.
    """
    configure_logging(settings.log_level, secrets=settings.secrets)
    export_to_ray(component)
