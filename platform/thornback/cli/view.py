"""What the live view of a job shows: state folded from updates, drawn for a width. Knows no server."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from thornback.cli.format import STYLE, duration, number, percent, short_id
from thornback.cli.spark import sparkline
from thornback.client import Job, JobDetail, MetricRow, Update
from thornback.jobs.events import EventKind

_LOG_LINES = 8
_LABEL = 14  # columns of the metric names
_STEPS = 2000  # of a run without epochs, kept for its curve
_MARK = {"parsed": "by its log", "estimated": "estimated"}


def _now() -> datetime:
    return datetime.now(UTC)


class JobView:
    """A renderable that always shows the newest update."""

    def __init__(self, start: JobDetail, *, log_lines: int = _LOG_LINES, now: Callable[[], datetime] = _now) -> None:
        self.job: Job = start.job
        self.rows: dict[int, MetricRow] = {row.epoch: row for row in start.recent_metrics if row.batch is None}
        self.losses: deque[float] = deque(maxlen=_STEPS)
        self.log: deque[str] = deque(maxlen=log_lines)
        self.notice: str | None = None
        self.waiting: Job | None = None  # read anew while it waits: a place in line moves without an event of its own
        self._now = now

    def apply(self, update: Update) -> MetricRow | None:
        """Take in an update; returns the epoch's row that it brought, if it did."""
        self.job = update.job
        self.notice = None
        event = update.event
        if event is None:
            return None
        if event.kind is EventKind.LOG:
            self.log.extend(event.data["lines"])
        if event.kind is EventKind.METRICS and event.data["batch"] is not None:
            loss = event.data["values"].get("train_loss")
            self.losses.extend([] if loss is None else [loss])
        if event.kind is EventKind.METRICS and event.data["batch"] is None:
            row = MetricRow.model_validate({**event.data, **event.data["values"]})
            self.rows[row.epoch] = row
            return row
        return None

    def headline(self) -> str:
        """Where the job is, in words: `running, training, epoch 3/9, 0:42 left`."""
        job = self.job
        parts: list[str] = [job.status.value]
        if job.cancel_requested and not job.is_final:
            parts = ["stopping"]
        if job.status.is_waiting:
            waiting = self.waiting or job
            parts.append(f"place {waiting.queue_position}" if waiting.queue_position else "")
            parts.append(waiting.reason or "")
        elif not job.is_final:
            parts.append(job.stage or "")
            parts.append(f"epoch {job.current_epoch}/{job.total_epochs}" if job.total_epochs else "")
            parts.append(f"{job.images_done or 0} of {job.images_total} images" if job.images_total else "")
            parts.append(self._percent() if job.provider else "")
            parts.append(self._time_left())
        return ", ".join(part for part in parts if part)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        job = self.job
        title = Table.grid(expand=True)
        title.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        title.add_column(justify="right", no_wrap=True)
        title.add_row(Text(job.job_name, style="bold"), Text(job.id if width >= 100 else short_id(job.id), style="dim"))
        parts: list[RenderableType] = [title, self._bar(width), Text(self.headline(), style=STYLE[job.status])]
        parts += self._metrics(width, ascii_only=options.ascii_only)
        if job.retry_message:
            parts.append(Text(f"attempt {job.attempt}: {job.retry_message}", style="yellow"))
        if self.notice:
            parts.append(Text(self.notice, style="yellow"))
        if self.log:
            parts.append(Rule("log", style="dim", align="left"))
            parts += [Text(line.expandtabs(), no_wrap=True, overflow="ellipsis") for line in self.log]
        yield Group(*parts)

    def _bar(self, width: int) -> RenderableType:
        bar = Table.grid(expand=True, padding=(0, 1, 0, 0))
        bar.add_column(ratio=1)
        bar.add_column(justify="right", width=6)
        bar.add_row(
            ProgressBar(total=100.0, completed=self.job.progress_percent, width=max(10, width - 8)),
            f"{self.job.progress_percent:.1f}%",
        )
        return bar

    def _metrics(self, width: int, *, ascii_only: bool) -> list[RenderableType]:
        rows = [self.rows[epoch] for epoch in sorted(self.rows)]
        room = max(10, min(60, width - _LABEL - 26))
        grid = Table.grid(padding=(0, 2, 0, 0))
        if not rows:
            if self.job.total_epochs or not self.losses:
                return []
            spark = Text(sparkline(list(self.losses), width=room, ascii_only=ascii_only), style="cyan")
            grid.add_row(Text("train loss", style="dim"), number(self.losses[-1]), spark)
            return [grid]
        last = rows[-1]
        best = f"best {number(self.job.best_val_loss)} in epoch {self.job.best_epoch}" if self.job.best_epoch else ""
        lines = (
            ("train loss", number(last.train_loss), [row.train_loss for row in rows], ""),
            ("val loss", number(last.val_loss), [row.val_loss for row in rows], best if width >= 100 else ""),
            ("val accuracy", percent(last.val_accuracy), [row.val_accuracy for row in rows], ""),
        )
        for label, value, values, remark in lines:
            if value:
                spark = Text(sparkline(values, width=room, ascii_only=ascii_only), style="cyan")
                grid.add_row(Text(label, style="dim"), value, spark, Text(remark, style="dim"))
        return [grid]

    def _percent(self) -> str:
        mark = _MARK.get(self.job.progress_origin or "", "")
        return f"{self.job.progress_percent:.0f} %" + (f" {mark}" if mark else "")

    def _time_left(self) -> str:
        if self.job.eta_at is None:
            return ""
        return f"{duration((self.job.eta_at - self._now()).total_seconds())} left"


def epoch_line(job: Job, row: MetricRow) -> str:
    """One epoch for a log without a terminal."""
    values = (
        ("train loss", number(row.train_loss)),
        ("val loss", number(row.val_loss)),
        ("val accuracy", percent(row.val_accuracy)),
    )
    return f"epoch {row.epoch}/{job.total_epochs}  " + "  ".join(f"{name} {value}" for name, value in values if value)
