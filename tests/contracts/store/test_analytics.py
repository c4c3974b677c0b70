"""What is reported over all jobs, against rows whose sums can be checked by hand, on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.contracts.store.conftest import RUN, Store, job_id
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason
from thornback.metrics.port import NewJob
from thornback.store.analytics import Analytics, DatasetBucket, StepTimes, Times, percent
from thornback.store.engine import open_engine

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def analytics(store: Store) -> Iterator[Analytics]:
    engine = open_engine(store.url)
    yield Analytics(engine)
    engine.dispose()


def train(
    store: Store,
    *,
    end: str | None = "completed",
    hours: float = 0,
    asked: dict[str, Any] | None = None,
    backend: str = "replicate",
    reason: FailureReason = FailureReason.PROVIDER_FAILED,
    kind: str = "lora",
    **facts: Any,
) -> str:
    """A training that was created `hours` after the first of March and took a minute."""
    make = EventFactory(str(uuid.uuid4()))
    at = DAY + timedelta(hours=hours)
    spec = {"kind": kind, "backend": backend, "job_name": "x", "priority": 0, "tags": {}, "config": asked or {}}
    store.writer.create(NewJob(job_id=job_id(make), spec=spec, user="ada", at=at))
    done = at + timedelta(minutes=1)
    events = [make.started(RUN, at=at), make.described(RUN, facts, seq=0, at=done)]
    if end == "completed":
        events.append(make.succeeded(RUN, at=done))
    elif end == "failed":
        events.append(make.failed(RUN, reason=reason, message="no", at=done))
    elif end == "cancelled":
        events.append(make.cancelled(at=done))
    store.writer.commit(events)
    return job_id(make)


def test_an_empty_database_has_answers(analytics: Analytics) -> None:
    assert analytics.average_times() == Times(jobs=0, predict_time=None, total_time=None)
    lists = (
        analytics.by_trigger_word,
        analytics.popular_trigger_words,
        analytics.times_by_steps,
        analytics.captioning_rates,
        analytics.dataset_times,
        analytics.dataset_buckets,
        analytics.failures,
        analytics.costs,
    )
    assert [question() for question in lists] == [[]] * len(lists)


def test_trigger_words_are_counted_by_status(store: Store, analytics: Analytics) -> None:
    train(store, trigger_word="TOK", asked={"trigger_word": "asked, not taken"})
    train(store, end="failed", asked={"trigger_word": "TOK"})
    train(store, end=None, hours=3, asked={"trigger_word": "TOK"})
    train(store, hours=1, trigger_word="ADA")
    train(store, asked={"trigger_word": None})
    words = analytics.by_trigger_word()
    assert [(word.trigger_word, word.jobs) for word in words] == [("ADA", 1), ("TOK", 3)]
    assert words[1].by_status == {"completed": 1, "failed": 1, "running": 1}
    assert words[1].last_created_at == DAY + timedelta(hours=3)
    assert [word.trigger_word for word in analytics.popular_trigger_words()] == ["TOK", "ADA"]
    assert [word.trigger_word for word in analytics.popular_trigger_words(limit=1)] == ["TOK"]


def test_average_times_are_those_of_successes(store: Store, analytics: Analytics) -> None:
    train(store, predict_time=100.0, total_time=130.0)
    train(store, predict_time=200, total_time=250.0)
    train(store, total_time=9.0)  # its time on the machine is not known: not among them
    train(store, end="failed", predict_time=5000.0, total_time=5000.0)
    # (100 + 200) / 2 = 150; (130 + 250) / 2 = 190
    assert analytics.average_times() == Times(jobs=2, predict_time=150.0, total_time=190.0)


def test_times_by_steps(store: Store, analytics: Analytics) -> None:
    train(store, training_steps=1000, predict_time=100.0, total_time=120.0)
    train(store, asked={"steps": 1000}, predict_time=300.0)  # asked for; the provider did not repeat it
    train(store, training_steps=500, asked={"steps": 2000}, predict_time=60.0, total_time=70.0)
    train(store, end="failed", training_steps=500, predict_time=1.0)
    train(store, kind="other", asked={"steps": "abc"}, predict_time=1.0)
    # 1000 steps: (100 + 300) / 2 = 200; total 120 / 1
    assert analytics.times_by_steps() == [
        StepTimes(steps=500, jobs=1, predict_time=60.0, total_time=70.0),
        StepTimes(steps=1000, jobs=2, predict_time=200.0, total_time=120.0),
    ]


def test_success_by_captioning_counts_what_failed_by_what_it_asked_for(store: Store, analytics: Analytics) -> None:
    for _ in range(2):
        train(store, captioning="automatic", asked={"captioning": "automatic"})
    train(store, end="failed", asked={"captioning": "automatic"})
    train(store, end=None, asked={"captioning": "automatic"})
    train(store, end="cancelled", asked={"captioning": "manual"})
    train(store, end=None, asked={"captioning": "disabled"})
    train(store)
    rates = analytics.captioning_rates()
    assert [(rate.captioning, rate.jobs, rate.ended, rate.succeeded) for rate in rates] == [
        ("automatic", 4, 3, 2),
        ("disabled", 1, 0, 0),
        ("manual", 1, 1, 0),
    ]
    # 100 * 2 / 3 = 66.666…
    assert [rate.success_rate_percent for rate in rates] == [66.67, None, 0.0]


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(1, 3, 33.33), (2, 3, 66.67), (1, 800, 0.13), (3, 800, 0.38), (7, 7, 100.0), (0, 7, 0.0)],
)
def test_percentages_are_rounded_as_sql_rounds(part: int, whole: int, expected: float) -> None:
    """1/800 = 0.125 % and 3/800 = 0.375 %: halves go up."""
    assert percent(part, whole) == expected


def test_dataset_sizes_against_durations(store: Store, analytics: Analytics) -> None:
    small = train(store, dataset_size=9, predict_time=90.0, training_steps=900)
    first = train(store, hours=1, dataset_size=10, predict_time=100.0, training_steps=1000)
    second = train(store, hours=2, dataset_size=19, total_time=300.0, asked={"steps": 1000})
    large = train(store, hours=3, dataset_size=4000, predict_time=7.0)
    train(store, dataset_size=10)  # no time
    train(store, predict_time=10.0)  # no size
    train(store, end="failed", dataset_size=10, predict_time=1.0)
    train(store, kind="convnext", backend="ray", dataset_size=10, predict_time=1.0)
    pairs = analytics.dataset_times()
    assert [(pair.job_id, pair.dataset_size, pair.steps, pair.seconds) for pair in pairs] == [
        (large, 4000, None, 7.0),
        (second, 19, 1000, 300.0),
        (first, 10, 1000, 100.0),
        (small, 9, 900, 90.0),
    ]
    assert [pair.job_id for pair in analytics.dataset_times(limit=2)] == [large, second]
    # (100 + 300) / 2 = 200 s; (100 / 1000 + 300 / 1000) / 2 = 0.2 s
    assert analytics.dataset_buckets() == [
        DatasetBucket(least=1, most=9, jobs=1, seconds=90.0, seconds_per_step=0.1),
        DatasetBucket(least=10, most=19, jobs=2, seconds=200.0, seconds_per_step=0.2),
        DatasetBucket(least=500, most=None, jobs=1, seconds=7.0, seconds_per_step=None),
    ]


def test_failures_by_reason(store: Store, analytics: Analytics) -> None:
    train(store, end="failed")
    train(store, end="failed", hours=5)
    train(store, end="failed", reason=FailureReason.OUT_OF_MEMORY, kind="convnext", backend="ray")
    train(store)
    failures = analytics.failures()
    # 2 / 3 and 1 / 3
    assert [(failure.reason, failure.jobs, failure.share_percent) for failure in failures] == [
        ("provider_failed", 2, 66.67),
        ("out_of_memory", 1, 33.33),
    ]
    assert failures[0].last_at == DAY + timedelta(hours=5, minutes=1)


def test_costs_by_day_and_backend(store: Store, analytics: Analytics) -> None:
    train(store, hours=0, cost_estimate_usd=9.0, cost_usd=1.25)
    train(store, hours=23.9, cost_usd=0.5)
    train(store, hours=23.9, end=None, cost_estimate_usd=2.0)
    train(store, hours=24, cost_usd=3)
    train(store, hours=1, backend="fal", cost_usd=2.0)
    train(store, hours=1)  # not known
    days = [(day.day, day.backend, day.jobs, day.cost_usd, day.estimate_usd) for day in analytics.costs()]
    assert days == [
        (date(2026, 3, 1), "fal", 1, 2.0, 0.0),
        (date(2026, 3, 1), "replicate", 3, 1.75, 2.0),
        (date(2026, 3, 2), "replicate", 1, 3.0, 0.0),
    ]


def test_a_range_takes_its_beginning_and_leaves_its_end(store: Store, analytics: Analytics) -> None:
    for hours in (0, 1, 2):
        train(store, hours=hours, predict_time=10.0 * hours, trigger_word="TOK", cost_usd=1.0)
    since, until = DAY + timedelta(hours=1), DAY + timedelta(hours=2)
    assert analytics.average_times(since=since).predict_time == 15.0
    assert analytics.average_times(until=until).predict_time == 5.0
    assert analytics.average_times(since=since, until=until) == Times(jobs=1, predict_time=10.0, total_time=None)
    assert analytics.by_trigger_word(since=since, until=until)[0].jobs == 1
    assert analytics.costs(since=since, until=until)[0].cost_usd == 1.0


def test_durations_for_the_time_left(store: Store) -> None:
    train(store, trainer="flux", training_steps=1000, predict_time=100.0)
    train(store, hours=2, asked={"trainer": "flux", "steps": 500}, total_time=80.0)
    train(store, hours=1, trainer="flux", training_steps=800, predict_time=90.0, total_time=95.0)
    train(store, trainer="flux", predict_time=1.0)  # steps unknown
    train(store, trainer="flux", training_steps=1)  # time unknown
    train(store, trainer="flux", training_steps=1, predict_time=1.0, end="failed")
    train(store, trainer="flux", training_steps=1, predict_time=1.0, backend="fal")
    train(store, trainer="other", training_steps=7, predict_time=7.0)
    durations = store.reader.durations
    assert durations("replicate", "flux") == [(500, 80.0), (800, 90.0), (1000, 100.0)]
    assert durations("replicate", "flux", limit=1) == [(500, 80.0)]
    assert durations("fal", "flux") == [(1, 1.0)]
    assert durations("fal", "none") == []


def test_facts_of_any_kind_reach_the_columns_only_where_they_fit(store: Store) -> None:
    odd: dict[str, Any] = {
        "input_images_url": ["a"],
        "trigger_word": "é" * 300,
        "captioning": 1,
        "training_steps": "1000",
        "predict_time": "fast",
        "total_time": -1,
        "provider": "fal\x00",
        "provider_id": "p" * 300,
        "cost_usd": True,
        "cost_estimate_usd": 2,
    }
    train(store, **odd)
    names = ", ".join([*odd, "trainer"])
    with store.engine.connect() as connection:
        row = connection.exec_driver_sql(f"SELECT {names} FROM training_jobs").one()
    assert row == (None, "é" * 255, None, None, None, None, "fal\ufffd", "p" * 255, None, 2.0, None)
