"""Strategies that make what can truly be told of the items of one job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from thornback.jobs.events import EventFactory, JobEvent

JOB_ID = "0190a000-0000-7000-8000-000000000002"
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)

_ids = st.sampled_from(["aaa", "bbb", "ccc"])
_ends = st.sampled_from(["succeeded", "failed", "cancelled"])
_vias = st.sampled_from(["webhook", "poll", "sync"])


@st.composite
def item_histories(draw: st.DrawFn, *, job_id: str = JOB_ID) -> list[JobEvent]:
    """Item events of one job in the order of their making; every (source, key) occurs once.

    Any of an order's events may be missing, and each may tell another id of the provider.
    """
    make = EventFactory(job_id)
    now = BEGIN
    events: list[JobEvent] = []
    for item in draw(st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True)):
        for order in range(1, draw(st.integers(1, 3)) + 1):
            for status in ("intended", "sent", "processing", draw(_ends), "stored"):
                now += timedelta(milliseconds=draw(st.integers(1, 5000)))
                if draw(st.booleans()):
                    events.append(_event(draw, make, item, order, status, now))
    return events


def _event(draw: st.DrawFn, make: EventFactory, item: int, order: int, status: str, at: datetime) -> JobEvent:
    provider_id = draw(_ids) if status == "sent" else draw(st.none() | _ids)
    facts: dict[str, object] = {}
    if status in ("succeeded", "failed", "cancelled"):
        facts = {"via": draw(_vias), "error": "NSFW" if status == "failed" else None}
        facts["outputs"] = [f"https://replicate.delivery/{item}-{order}.webp"] if status == "succeeded" else []
    elif status == "stored":
        facts = {"uri": f"s3://bucket/{item}-{order}.jpg", "content_type": "image/jpeg", "size_bytes": 10 * item}
        facts["sha256"] = "0" * 64
    return make.item(item, order=order, status=status, provider="replicate", provider_id=provider_id, at=at, **facts)


@st.composite
def item_deliveries(draw: st.DrawFn) -> tuple[list[JobEvent], list[list[JobEvent]]]:
    """A history, and the commits in which it arrives: in any order, with repeats."""
    history = draw(item_histories())
    told = list(draw(st.permutations(history)))
    told += draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    cuts = sorted(draw(st.sets(st.integers(0, len(told)), max_size=5)))
    return history, [told[i:j] for i, j in zip([0, *cuts], [*cuts, len(told)], strict=True)]
