"""The live view at the widths that terminals have."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from thornback.cli.view import JobView, epoch_line
from thornback.client import Event, Job, JobDetail, MetricRow, Update
from thornback.jobs.events import EventKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB_ID = "01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11"


def job(**fields: Any) -> Job:
    return Job.model_validate({"id": JOB_ID, "job_name": "Radio signals", "status": "running", **fields})


def view(**fields: Any) -> JobView:
    return JobView(JobDetail(job=job(**fields)), now=lambda: NOW)


def event(kind: EventKind, **data: Any) -> Event:
    return Event(id=1, job_id=JOB_ID, kind=kind, at=NOW, data=data)


def drawn(shown: JobView, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().splitlines()


def full_view() -> JobView:
    shown = view(
        stage="training",
        current_epoch=3,
        total_epochs=9,
        progress_percent=33.3,
        eta_at=NOW + timedelta(seconds=42),
        best_epoch=2,
        best_val_loss=0.25,
        attempt=2,
        retry_message="the driver was lost" * 20,
    )
    for epoch in range(1, 4):
        values = {"train_loss": 1 / epoch, "val_loss": 2 / epoch, "val_accuracy": epoch / 10}
        row = event(EventKind.METRICS, epoch=epoch, batch=None, phase="val", values=values)
        shown.apply(Update(job=shown.job, event=row))
    shown.apply(
        Update(job=shown.job, event=event(EventKind.LOG, lines=["x" * 500, "[red]not markup[/red]", "tab\there"]))
    )
    return shown


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(full_view(), width)
    assert max(map(len, lines)) <= width


def test_what_it_says_at_80_columns() -> None:
    text = "\n".join(drawn(full_view(), 80))
    assert "Radio signals" in text
    assert JOB_ID[-12:] in text
    assert "33.3%" in text
    assert "running, training, epoch 3/9, 0:42 left" in text
    assert "[red]not markup[/red]" in text
    assert "val accuracy" in text
    assert "30.0 %" in text
    assert "▁" in text


def test_a_wide_terminal_shows_the_whole_id_and_the_best_epoch() -> None:
    text = "\n".join(drawn(full_view(), 120))
    assert JOB_ID in text
    assert "best 0.25 in epoch 2" in text


def test_one_long_line_takes_one_line() -> None:
    """The height of the view must not jump with every long line of a log."""
    assert sum("x" in line for line in drawn(full_view(), 80) if set(line.strip(" …")) == {"x"}) == 1


@pytest.mark.parametrize(
    ("fields", "headline"),
    [
        ({"status": "queued", "queue_position": 3, "reason": "2 jobs before it"}, "queued, place 3, 2 jobs before it"),
        ({"status": "pending", "reason": "1 GPU is not free"}, "pending, 1 GPU is not free"),
        ({"cancel_requested": True, "stage": "training"}, "stopping, training"),
        ({"status": "completed", "stage": "exporting"}, "completed"),
    ],
)
def test_headline(fields: dict[str, Any], headline: str) -> None:
    assert view(**fields).headline() == headline


def test_a_place_in_line_that_was_read_later_counts() -> None:
    shown = view(status="queued", queue_position=3)
    shown.waiting = job(status="queued", queue_position=1)
    assert shown.headline() == "queued, place 1"
    shown.apply(Update(job=job(status="running")))
    assert shown.headline() == "running"


def test_an_epoch_row_is_handed_out_and_a_step_row_is_not() -> None:
    shown = view(total_epochs=5)
    row = event(EventKind.METRICS, epoch=1, batch=None, phase="val", values={"val_loss": 0.5})
    step = event(EventKind.METRICS, epoch=1, batch=3, phase="train", values={"train_loss": 0.7})
    assert shown.apply(Update(job=shown.job, event=step)) is None
    handed = shown.apply(Update(job=shown.job, event=row))
    assert handed is not None
    assert epoch_line(shown.job, handed) == "epoch 1/5  val loss 0.5"


def test_a_notice_goes_with_the_next_update() -> None:
    shown = view()
    shown.notice = "no connection"
    assert any("no connection" in line for line in drawn(shown, 80))
    shown.apply(Update(job=shown.job))
    assert not any("no connection" in line for line in drawn(shown, 80))


def test_rows_of_steps_are_not_drawn_as_epochs() -> None:
    start = JobDetail(job=job(), recent_metrics=[MetricRow(epoch=1, batch=4, train_loss=1.0)])
    assert JobView(start).rows == {}


def test_a_run_at_a_provider_has_steps_and_no_epochs() -> None:
    shown = view(
        backend="replicate",
        provider="replicate",
        stage="training",
        progress_percent=36.35,
        progress_origin="parsed",
        eta_at=NOW + timedelta(seconds=135),
    )
    for step in range(1, 40):
        values = {"train_loss": 1 / step}
        row = event(EventKind.METRICS, epoch=1, batch=step, phase="train", values=values)
        assert shown.apply(Update(job=shown.job, event=row)) is None
    assert shown.headline() == "running, training, 36 % by its log, 2:15 left"
    assert any("train loss" in line and "0.02564" in line and "█" in line for line in drawn(shown, 100))


def test_a_set_counts_its_images() -> None:
    shown = view(backend="fal", provider="fal", stage="training", images_total=12, images_done=5)
    assert shown.headline() == "running, training, 5 of 12 images, 0 %"
