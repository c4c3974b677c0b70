"""Requests become orders, each once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from thornback.metrics.reporter import NullReporter
from train_jobs.common.layers import ReporterLayer
from train_jobs.lora.loop import Order
from train_jobs.lora.wishes import ReporterWishes

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


class Asked(NullReporter):
    """What was asked for, as the platform tells it."""

    def __init__(self, **times: datetime) -> None:
        super().__init__()
        self.times: dict[str, datetime] = times

    def asked(self) -> Mapping[str, datetime]:
        return self.times


def wishes_of(reporter: Asked) -> ReporterWishes:
    return ReporterWishes(ReporterLayer(reporter), lambda: BEGAN)


def test_each_request_is_given_once() -> None:
    reporter = Asked()
    wishes = wishes_of(reporter)
    assert wishes() is Order.GO_ON
    reporter.times = {"save": at(1), "sample": at(2)}
    assert wishes() == Order.SAVE | Order.SAMPLE
    assert wishes() is Order.GO_ON
    reporter.times = {"save": at(3), "sample": at(2), "finish": at(3)}
    assert wishes() == Order.SAVE | Order.KEEP
    assert wishes() is Order.GO_ON


def test_what_was_asked_of_the_run_before_is_not_done_again() -> None:
    reporter = Asked(finish=at(-60))
    wishes = wishes_of(reporter)
    assert wishes() is Order.GO_ON
    reporter.times = {"finish": at(-60), "save": at(5)}
    assert wishes() is Order.SAVE


def test_a_request_that_came_while_the_run_began_is_heard_although_it_is_there_at_first_sight() -> None:
    assert wishes_of(Asked(sample=at(0.5)))() is Order.SAMPLE


def test_a_clock_that_is_ahead_hides_only_what_was_there_at_first_sight() -> None:
    reporter = Asked(save=at(-60))
    wishes = wishes_of(reporter)
    assert wishes() is Order.GO_ON
    reporter.times = {"save": at(-30)}  # later than the one before, and so a new one
    assert wishes() is Order.SAVE
