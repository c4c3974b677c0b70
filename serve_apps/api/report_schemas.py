"""What reports and alerts look like on the wire."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from serve_apps.api.schemas import Wire
from thornback.settings import AlertRule


class AlertOut(Wire):
    """A failure that made a rule hold."""

    rule: str = Field(description="The rule's name.")
    at: datetime
    job_id: str = Field(description="Of the failure that made it hold.")
    job_ids: list[str] = Field(description="All that were counted, the oldest first.")
    message: str


class AlertList(Wire):
    """What held when, and what is looked for."""

    rules: list[AlertRule]
    alerts: list[AlertOut]
