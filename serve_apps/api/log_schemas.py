"""A log by line number."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from serve_apps.api.schemas import Wire


class LinesOut(Wire):
    """Lines that one process printed at a time."""

    number: int = Field(description="Of the first of them; the log begins with 0.")
    event_id: int
    timestamp: datetime
    rank: int = Field(description="-1: the driver.")
    attempt: int
    lines: list[str]


class LogLines(Wire):
    """A part of a log."""

    job_id: str
    total: int = Field(description="Lines of the whole log, or of the rank that was asked for.")
    ranks: list[int] = Field(description="Whose lines there are.")
    last_event_id: int = Field(description="The counted part ends with this event; later ones are on the stream.")
    chunks: list[LinesOut]


class LogMatches(Wire):
    """Where a text was found."""

    job_id: str
    total: int
    lines: list[int] = Field(description="Numbers of the lines that have it.")
    next: int | None = Field(description="The search goes on from this line (`first=`); null: everything was read.")
