"""Whatever order, repetition and batching a job's events come in, the row is their fold."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.store.conftest import Store
from tests.unit.jobs.histories import histories
from thornback.jobs.events import EventKind, JobEvent
from thornback.jobs.reduce import reduce_all
from thornback.jobs.state import JobState
from thornback.metrics.port import StreamEvent
from thornback.store.admit import admit
from thornback.store.state_codec import decode_state
from thornback.store.write import StoreWriter


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[JobEvent], list[list[JobEvent]]]:
    """A history, and the batches in which it arrives: out of order, with repeats, its creation first."""
    history = draw(histories())
    rest = draw(st.permutations(history[1:]))
    repeated = [*rest, *draw(st.lists(st.sampled_from(history), max_size=6))]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(repeated))), max_size=5)))
    batches = [repeated[i:j] for i, j in zip([0, *cuts], [*cuts, len(repeated)], strict=True)]
    return history, [[history[0], *batches[0]], *batches[1:]]


def _of(job_id: str, events: Sequence[JobEvent]) -> list[JobEvent]:
    return [replace(event, job_id=job_id) for event in events]


# The fixture stays open over the examples on purpose: each has a job of its own.
_SETTINGS = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@_SETTINGS
@given(delivery=deliveries(), restarts=st.booleans())
def test_the_stored_row_is_the_fold_of_its_events(
    store: Store, delivery: tuple[list[JobEvent], list[list[JobEvent]]], restarts: bool
) -> None:
    job_id = str(uuid.uuid4())
    history, batches = delivery
    cursor = store.reader.latest_event_id()
    live: list[StreamEvent] = []
    for batch in batches:
        writer = StoreWriter(store.engine) if restarts else store.writer  # a new one has to read the state
        live += writer.commit(_of(job_id, batch)).events

    stored = store.reader.job(job_id).state
    admitted = [event for event in map(admit, _of(job_id, history)) if event is not None]
    assert stored == reduce_all(JobState(id=job_id), admitted)

    assert sorted((event.kind.value, event.at) for event in live) == sorted((e.kind.value, e.at) for e in history)
    assert store.reader.events(cursor, job_id=job_id) == [replace(event, job=None) for event in live]
    metrics = [event for event in live if event.kind is EventKind.METRICS]
    assert [row.values for row in store.reader.metrics(job_id, level="all")] == [e.data["values"] for e in metrics]


@pytest.mark.parametrize("interleaved", [True, False])
def test_jobs_do_not_touch_each_other(store: Store, interleaved: bool) -> None:
    example = given(first=histories(), second=histories())

    @settings(_SETTINGS, max_examples=5)
    @example
    def run(first: list[JobEvent], second: list[JobEvent]) -> None:
        ids = [str(uuid.uuid4()), str(uuid.uuid4())]
        one, two = _of(ids[0], first), _of(ids[1], second)
        mixed = [event for pair in zip(one, two, strict=False) for event in pair]
        tail = one[len(two) :] + two[len(one) :]
        store.writer.commit([*mixed, *tail] if interleaved else [*one, *two])
        for job_id, events in zip(ids, (one, two), strict=True):
            expected = reduce_all(JobState(id=job_id), [event for event in map(admit, events) if event])
            assert store.reader.job(job_id).state == expected

    run()


def test_the_state_column_can_be_read_without_the_events(store: Store) -> None:
    """`decode_state` supplies what a row of an older release does not have."""
    assert decode_state({"id": "x"}) == JobState(id="x")
