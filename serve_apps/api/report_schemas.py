"""What reports and alerts look like on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field

from serve_apps.api.quota_schemas import LevelOut
from serve_apps.api.schemas import Wire
from thornback.settings import AlertRule
from thornback.spend.quotas import Level, sentence
from thornback.store.analytics import (
    CaptioningRate,
    DatasetBucket,
    DayCost,
    FailureCount,
    StepTimes,
    Times,
    TriggerWord,
)
from thornback.store.usage import By, Usage

Row = TypeVar("Row")


class Report(Wire, Generic[Row]):
    """The answer to one question; null where the time has no bound."""

    since: datetime | None = Field(description="Jobs that were created then or later.")
    until: datetime | None = Field(description="Jobs that were created before.")
    rows: list[Row]


class WholeReport(Wire):
    """The answers to all questions."""

    since: datetime | None
    until: datetime | None
    trigger_words: list[TriggerWord] = Field(description="The twenty that are asked for most.")
    durations: Times
    steps: list[StepTimes]
    captioning: list[CaptioningRate]
    dataset_sizes: list[DatasetBucket]
    failures: list[FailureCount]
    costs: list[DayCost]


class DurationReport(Wire):
    """How long trainings take."""

    since: datetime | None
    until: datetime | None
    times: Times


class UsageReport(Wire):
    """Who used what."""

    since: datetime | None
    until: datetime | None
    by: list[By]
    rows: list[Usage]


class AlertOut(Wire):
    """A failure that made a rule hold."""

    rule: str = Field(description="The rule's name.")
    at: datetime
    job_id: str = Field(description="Of the failure that made it hold.")
    job_ids: list[str] = Field(description="All that were counted, the oldest first.")
    message: str


class QuotaAlert(LevelOut):
    """A limit that is used to the share of the warning, or used up."""

    kind: Literal["user", "team"]
    name: str
    is_used_up: bool
    message: str

    @classmethod
    def of(cls, level: Level) -> Self:
        """With whose it is."""
        return cls(
            **LevelOut.of(level).model_dump(),
            kind=level.holder.kind,
            name=level.holder.name,
            is_used_up=level.is_used_up,
            message=sentence(level),
        )


class AlertList(Wire):
    """What held when, and what is looked for."""

    rules: list[AlertRule]
    alerts: list[AlertOut]
    quotas: list[QuotaAlert] = Field(description="As they stand now, those that are used most first.")
