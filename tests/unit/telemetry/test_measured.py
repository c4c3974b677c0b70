"""What is counted, and as what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.telemetry.taken import Taken
from thornback.errors import AnswerLost, ProviderRefused, ProviderUnavailable
from thornback.jobs.events import EventKind
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.metrics.measured import measure
from thornback.metrics.port import StreamEvent
from thornback.providers.measured import measured
from thornback.telemetry import catalogue
from thornback.telemetry.metric import Kind, Metric

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(kind: EventKind, **data: object) -> StreamEvent:
    return StreamEvent(id=1, job_id="a", kind=kind, data=data, at=NOW)


def test_a_commit_counts_its_events_and_the_ends_of_jobs(taken: Taken) -> None:
    job = JobState(id="a", kind="lora", backend="fal", final=JobStatus.FAILED, failure=FailureReason.DIVERGED)
    measure([event(EventKind.LOG), event(EventKind.LOG), event(EventKind.FAILED)], {"a": job})
    assert taken.count(catalogue.EVENTS, kind="log") == 2
    ended = {"kind": "lora", "backend": "fal", "status": "failed", "reason": FailureReason.DIVERGED.value}
    assert taken.count(catalogue.JOBS_ENDED, **ended) == 1


@pytest.mark.parametrize(("attempt", "restart", "told"), [(1, 0, [90.0]), (1, 1, []), (2, 0, [])])
def test_only_the_first_run_tells_how_long_the_start_took(
    taken: Taken, attempt: int, restart: int, told: list[float]
) -> None:
    job = JobState(id="a", created_at=NOW - timedelta(seconds=90))
    measure([event(EventKind.STARTED, attempt=attempt, restart=restart)], {"a": job})
    assert taken.all(catalogue.START, kind="convnext", backend="ray") == told


def test_an_end_of_a_job_that_is_gone_is_no_job(taken: Taken) -> None:
    measure([event(EventKind.FAILED)], {})
    assert taken.count(catalogue.EVENTS, kind="failed") == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (AnswerLost("lost"), "lost"),
        (ProviderRefused("no"), "refused"),
        (ProviderUnavailable("502"), "unavailable"),
        (ProviderUnavailable("left alone", breaker="open"), "held"),
        (ValueError("ours"), "error"),
    ],
)
def test_calls_to_a_provider_by_outcome(taken: Taken, error: Exception | None, outcome: str) -> None:
    def call() -> None:
        with measured("fal", "order"):
            if error is not None:
                raise error

    if error is None:
        call()
    else:
        with pytest.raises(type(error)):
            call()
    assert taken.count(catalogue.PROVIDER_CALLS, provider="fal", call="order", outcome=outcome) == 1
    assert len(taken.all(catalogue.PROVIDER_CALL, provider="fal", call="order")) == (outcome != "held")


@pytest.mark.parametrize("metric", catalogue.CATALOGUE, ids=lambda metric: metric.name)
def test_names_are_as_prometheus_wants_them(metric: Metric) -> None:
    assert metric.name.startswith("thornback_")
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(metric.buckets)
    # No series for each job, user or address.
    assert not {"job", "job_id", "user", "team", "url", "path", "node"} & set(metric.tags)


def test_names_are_used_once() -> None:
    names = [metric.name for metric in catalogue.CATALOGUE]
    assert len(names) == len(set(names)) > 30
