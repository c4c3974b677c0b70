"""Strategies that make the histories a job can truly have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from hypothesis import strategies as st

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.spec import ConvNextSpec
from thornback.jobs.status import FailureReason
from thornback.jobs.wishes import Wish

JOB_ID = "0190a000-0000-7000-8000-000000000001"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

_losses = st.one_of(st.none(), st.floats(min_value=0.0, max_value=10.0, allow_nan=False))


@st.composite
def histories(draw: st.DrawFn, *, ended: bool | None = None) -> list[JobEvent]:
    """The events of one job in the order of their making; every (source, key) occurs once.

    Args:
        draw: given by hypothesis.
        ended: whether the last event is final; None leaves it open.
    """
    make = EventFactory(JOB_ID)
    spec = ConvNextSpec.model_validate({"job_name": "run", "config": {"epochs": draw(st.integers(1, 20))}})
    now = BEGIN
    events: list[JobEvent] = []

    def add(build: Callable[..., JobEvent]) -> None:
        nonlocal now
        now += timedelta(milliseconds=draw(st.integers(1, 5000)))
        events.append(build(at=now))

    add(partial(make.created, spec.model_dump(mode="json"), user="ada"))
    for number in range(1, draw(st.integers(1, 3)) + 1):
        for _ in range(draw(st.integers(0, 2))):
            reason = draw(st.sampled_from(["waiting for 1 GPU", "waiting for 2 CPUs"]))
            add(partial(make.pending, Attempt(number), reason=reason))
        add(partial(make.scheduled, Attempt(number), submission_id=f"sub-{number}"))
        for restart in range(draw(st.integers(0, 2)) + 1):
            _run(draw, add, make, Attempt(number, restart), spec.total_epochs)
        if draw(st.booleans()):
            add(partial(make.parked, Attempt(number)))
    if draw(st.booleans()):
        add(partial(make.cancel_requested, user="ada"))
    for priority in draw(st.lists(st.integers(-100, 100), max_size=2)):
        add(partial(make.prioritized, priority, user="ada"))
    for what in draw(st.lists(st.sampled_from(Wish), max_size=3)):
        add(partial(make.asked, what, user="ada"))
    if draw(st.booleans()) if ended is None else ended:
        end = draw(st.sampled_from(["succeeded", "failed", "cancelled"]))
        last = Attempt(number, restart)
        if end == "succeeded":
            add(partial(make.succeeded, last))
        elif end == "failed":
            add(partial(make.failed, last, reason=FailureReason.OUT_OF_MEMORY, message="CUDA out of memory"))
        else:
            add(make.cancelled)
    return list({(event.source, event.key): event for event in events}.values())


def _run(
    draw: st.DrawFn,
    add: Callable[[Callable[..., JobEvent]], None],
    make: EventFactory,
    attempt: Attempt,
    total: int,
) -> None:
    if attempt != Attempt(1, 0):
        message = f"lost before {attempt}"
        reason = draw(st.sampled_from([FailureReason.WORKER_LOST, FailureReason.MOVED]))
        add(partial(make.retried, attempt, reason=reason, message=message))
    add(partial(make.started, attempt))
    add(partial(make.described, attempt, {"dataset_size": draw(st.integers(1, 9))}, seq=0))
    for epoch in range(1, draw(st.integers(0, min(4, total))) + 1):
        add(partial(make.metrics, epoch=epoch, batch=None, phase="val", values={"val_loss": draw(_losses)}))
        percent, eta = draw(st.floats(0.0, 120.0)), draw(st.one_of(st.none(), st.floats(0.0, 1e4)))
        report = partial(make.progress, attempt, seq=epoch, percent=percent, eta_seconds=eta)
        add(partial(report, epoch=epoch, total_epochs=total))
        add(partial(make.artifact, attempt, name="best", type="checkpoint", uri=f"/runs/{epoch}"))
