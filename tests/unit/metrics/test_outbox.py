from __future__ import annotations

import pytest

from thornback.jobs.events import Attempt, EventFactory, EventKind, JobEvent
from thornback.metrics.outbox import LINES_PER_EVENT, MAX_WAITING_CHARS, MAX_WAITING_LINES, Outbox

ATTEMPT = Attempt(1)
factory = EventFactory("j", voice="0-a")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(factory, ATTEMPT, rank=0)


def row(outbox: Outbox, batch: int, **values: float) -> None:
    outbox.put_metrics({"epoch": 0, "batch": batch, "phase": "train", "values": values or {"train_loss": 1.0}})


def progress(outbox: Outbox, percent: float) -> None:
    outbox.put(
        factory.progress,
        {
            "attempt": ATTEMPT,
            "seq": int(percent),
            "percent": percent,
            "epoch": 0,
            "total_epochs": 1,
            "eta_seconds": None,
        },
    )


def kinds(events: list[JobEvent]) -> list[EventKind]:
    return [event.kind for event in events]


def lines(events: list[JobEvent]) -> list[str]:
    return [line for event in events if event.kind is EventKind.LOG for line in event.data["lines"]]


def test_reports_come_in_order_and_no_more_than_asked_for(outbox: Outbox) -> None:
    for n in range(5):
        row(outbox, n)
    first, _ = outbox.take(3)
    rest, _ = outbox.take(3)
    assert [event.data["batch"] for event in first] == [0, 1, 2]
    assert [event.data["batch"] for event in rest] == [3, 4]
    assert not outbox


def test_the_time_of_an_event_is_that_of_the_call(outbox: Outbox) -> None:
    row(outbox, 0)
    row(outbox, 1)
    (one, two), _ = outbox.take(10)
    assert one.at <= two.at
    outbox.put_text("x")
    (three,), _ = outbox.take(10)
    assert three.at >= two.at


def test_lines_are_grouped(outbox: Outbox) -> None:
    for n in range(LINES_PER_EVENT + 5):
        outbox.put_text(f"line {n}")
    events, _ = outbox.take(10)
    assert [len(event.data["lines"]) for event in events] == [LINES_PER_EVENT, 5]
    assert [event.data["seq"] for event in events] == [0, 1]
    assert len({event.key for event in events}) == 2


def test_several_lines_in_one_text_are_told_apart_and_cleaned(outbox: Outbox) -> None:
    outbox.put_text("one\n\x1b[31mtwo\x1b[0m\n")
    assert lines(outbox.take(10)[0]) == ["one", "two"]


def test_too_many_lines_drop_the_oldest_and_say_how_many(outbox: Outbox) -> None:
    for n in range(MAX_WAITING_LINES + 250):
        outbox.put_text(f"line {n}")
    got = lines(outbox.take(1000)[0])
    assert got[0] == "… 250 lines were dropped here: they came faster than the platform took them"
    assert got[1:] == [f"line {n}" for n in range(250, MAX_WAITING_LINES + 250)]
    outbox.put_text("after")
    assert lines(outbox.take(1000)[0]) == ["after"]


def test_long_lines_are_bounded_in_all(outbox: Outbox) -> None:
    for _ in range(2 * MAX_WAITING_CHARS // 8000):
        outbox.put_text("x" * 8000)
    got = lines(outbox.take(1000)[0])
    assert (
        got[0] == f"… {MAX_WAITING_CHARS // 8000} lines were dropped here: they came faster than the platform took them"
    )
    assert sum(map(len, got[1:])) <= MAX_WAITING_CHARS


def test_metrics_are_never_dropped(outbox: Outbox) -> None:
    for n in range(5 * MAX_WAITING_LINES):
        row(outbox, n)
    batches = []
    while outbox:
        batches += [event.data["batch"] for event in outbox.take(500)[0]]
    assert batches == list(range(5 * MAX_WAITING_LINES))


def test_of_the_progress_in_one_batch_only_the_newest_counts(outbox: Outbox) -> None:
    for n in range(10):
        progress(outbox, n)
        row(outbox, n)
    events, _ = outbox.take(100)
    assert kinds(events).count(EventKind.PROGRESS) == 1
    assert [event.data["percent"] for event in events if event.kind is EventKind.PROGRESS] == [9]
    assert kinds(events).count(EventKind.METRICS) == 10


def test_every_line_goes_before_the_end_of_the_job(outbox: Outbox) -> None:
    outbox.put_text("before")
    row(outbox, 0)
    outbox.put(factory.succeeded, {"attempt": ATTEMPT})
    outbox.put_text("after")
    events, _ = outbox.take(100)
    assert kinds(events) == [EventKind.LOG, EventKind.METRICS, EventKind.SUCCEEDED]
    assert lines(events) == ["before", "after"]


def test_the_end_waits_for_lines_that_fill_several_batches(outbox: Outbox) -> None:
    for n in range(3 * LINES_PER_EVENT):
        outbox.put_text(str(n))
    outbox.put(factory.succeeded, {"attempt": ATTEMPT})
    taken = []
    while outbox:
        taken.append(kinds(outbox.take(2)[0]))
    assert taken == [[EventKind.LOG] * 2, [EventKind.LOG, EventKind.SUCCEEDED]]


def test_the_log_does_not_wait_for_a_long_row_of_metrics(outbox: Outbox) -> None:
    for n in range(1000):
        row(outbox, n)
    outbox.put_text("a line")
    assert lines(outbox.take(100)[0]) == ["a line"]


def test_a_barrier_comes_with_the_last_thing_before_it(outbox: Outbox) -> None:
    row(outbox, 0)
    outbox.put_text("line")
    barrier = outbox.put_barrier()
    row(outbox, 1)
    events, barriers = outbox.take(2)
    assert (kinds(events), barriers) == ([EventKind.METRICS, EventKind.LOG], [])
    events, barriers = outbox.take(2)
    assert (kinds(events), barriers) == ([EventKind.METRICS], [barrier])


def test_values_that_are_no_numbers_are_kept_as_empty_and_said_once(outbox: Outbox) -> None:
    row(outbox, 0, train_loss=float("nan"), learning_rate=0.1)
    row(outbox, 1, train_loss=float("inf"), learning_rate=0.1)
    events, _ = outbox.take(10)
    assert [event.data["values"] for event in events[:2]] == [{"train_loss": None, "learning_rate": 0.1}] * 2
    assert lines(events) == ["train_loss is nan in train, epoch 0, batch 0; it is kept as empty"]


def test_a_report_that_cannot_be_made_does_not_stop_the_others(outbox: Outbox) -> None:
    outbox.put(factory.stage, {"nonsense": True})
    row(outbox, 0)
    events, _ = outbox.take(10)
    assert kinds(events) == [EventKind.METRICS, EventKind.LOG]
    assert lines(events)[0].startswith("a report could not be made: TypeError")


def test_lines_after_a_restart_belong_to_it(outbox: Outbox) -> None:
    outbox.attempt = Attempt(1, 2)
    outbox.put_text("x")
    (event,), _ = outbox.take(10)
    assert (event.data["attempt"], event.data["restart"]) == (1, 2)
