"""report: what was trained, how long it took, how often it worked, what it cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from thornback.cli.format import duration, local_time
from thornback.cli.options import Json, Url, connect
from thornback.cli.output import output_of
from thornback.errors import InvalidInput

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})([mhdw])")

Row = Mapping[str, Any]


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("report")(report)


def report(
    ctx: typer.Context,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="7d, 12h, 2026-11-21 or 2026-11-21T10:00 [default: all]")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="The same, up to there [default: now]")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Report on all jobs: trigger words, durations, success by captioning, dataset sizes, failures, cost."""
    output = output_of(ctx)
    now = datetime.now(UTC)
    begin, end = (read_time(text, name, now) for text, name in ((since, "since"), (until, "until")))
    with connect(url) as client:
        answer = client.report(since=begin, until=end)
    output.result(answer, render(answer))


def read_time(text: str | None, name: str, now: datetime) -> datetime | None:
    """`7d` ago, a date or a time (of this machine where it names no zone), in UTC.

    Raises:
        InvalidInput: it is neither.
    """
    if text is None:
        return None
    try:
        if match := _AGO.fullmatch(text.strip()):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput.field(name, f"{text!r} is neither like 7d or 12h nor like 2026-11-21T10:00") from None


def read_ahead(text: str | None, name: str, now: datetime) -> datetime | None:
    """`7d` from now on; else as `read_time`. Raises InvalidInput."""
    match = None if text is None else _AGO.fullmatch(text.strip())
    try:
        return read_time(text, name, now) if match is None else now + timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise InvalidInput.field(name, f"{text!r} is too far away") from None


def render(answer: Mapping[str, Any]) -> RenderableType:
    """All parts that have something to say, one below the other."""
    times = answer["durations"]
    parts: list[RenderableType] = []
    if times["jobs"]:
        total = f", from order to end {_time(times['total_time'])}" if times["total_time"] is not None else ""
        count = "One training" if times["jobs"] == 1 else f"{times['jobs']} trainings"
        parts.append(Text(f"{count} took {_time(times['predict_time'])} on average{total}"))
    parts += [_table(title, columns, answer[name]) for name, (title, columns) in _TABLES.items() if answer[name]]
    return Group(*parts) if parts else Text("nothing was trained in this time", style="dim")


def _table(title: str, columns: Mapping[str, Callable[[Row], str]], rows: Iterable[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right", header_style="dim")
    for row in rows:
        table.add_row(*(Text(cell(row)) for cell in columns.values()))
    return table


def _time(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:g} %"


def _dollars(value: float | None) -> str:
    return "" if not value else f"{value:.2f}"


def _images(row: Row) -> str:
    return f"{row['least']} or more" if row["most"] is None else f"{row['least']} to {row['most']}"


def _plain(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


_TABLES: Mapping[str, tuple[str, Mapping[str, Callable[[Row], str]]]] = {
    "trigger_words": (
        "Trigger words",
        {
            "word": _plain("trigger_word"),
            "trainings": _plain("jobs"),
            "completed": lambda row: str(row["by_status"].get("completed", 0)),
            "failed": lambda row: str(row["by_status"].get("failed", 0)),
            "last": lambda row: local_time(datetime.fromisoformat(row["last_created_at"])),
        },
    ),
    "steps": (
        "Time by steps",
        {
            "steps": _plain("steps"),
            "trainings": _plain("jobs"),
            "training": lambda row: _time(row["predict_time"]),
            "order to end": lambda row: _time(row["total_time"]),
        },
    ),
    "captioning": (
        "Success by captioning",
        {
            "captions": _plain("captioning"),
            "trainings": _plain("jobs"),
            "succeeded": _plain("succeeded"),
            "rate": lambda row: _percent(row["success_rate_percent"]),
        },
    ),
    "dataset_sizes": (
        "Time by size of the dataset",
        {
            "images": _images,
            "trainings": _plain("jobs"),
            "time": lambda row: _time(row["seconds"]),
            "a step": lambda row: "" if row["seconds_per_step"] is None else f"{row['seconds_per_step']:.2f} s",
        },
    ),
    "failures": (
        "Why jobs failed",
        {"reason": _plain("reason"), "jobs": _plain("jobs"), "share": lambda row: _percent(row["share_percent"])},
    ),
    "costs": (
        "Cost in USD",
        {
            "day": _plain("day"),
            "backend": _plain("backend"),
            "jobs": _plain("jobs"),
            "measured": lambda row: _dollars(row["cost_usd"]),
            "estimated": lambda row: _dollars(row["estimate_usd"]),
        },
    ),
}
