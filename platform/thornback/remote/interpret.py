"""What a provider said of an order -> what happened to the job. Pure.

A webhook, an answer to a poll and a sync all come through here, so it makes no difference which of them
was heard, how often, or in what order: what is said once and what is said twice have the same keys, the
times are the provider's own where it tells them, and facts that two sightings tell differently complete in
the same values whichever is committed first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.jobs.items import ItemState
from thornback.jobs.status import FailureReason
from thornback.providers.port import OrderPhase, Sighting

Via = Literal["webhook", "poll", "sync"]

# A job at a provider has one attempt: another would be paid for again.
ATTEMPT = Attempt(1)

NO_REASON = "the provider gave no reason"

# What a training was given, by the names that trainers have for it; the first is the source's own (W1).
_INPUTS: Mapping[str, tuple[str, ...]] = {
    "input_images_url": ("input_images", "images_data_url", "image_data_url", "training_data_url"),
    "trigger_word": ("trigger_word", "trigger_phrase"),
    "captioning": ("captioning",),
    "training_steps": ("steps", "training_steps", "number_of_steps"),
}


def events_of(
    item: ItemState,
    sighting: Sighting,
    *,
    via: Via,
    at: datetime,
    is_training: bool = True,
    ends_job: bool = False,
) -> list[JobEvent]:
    """What a sighting means.

    A failed training ends its job here and now. One that succeeded does not: whoever follows the provider
    fetches the files first. What was cancelled is left to them too, for they know who asked for it.

    Args:
        item: the order that the sighting is about: job, item and order number. A sighting with another id
            than the provider gave that order means nothing.
        sighting: what was said.
        via: how it was heard.
        at: when it was heard; taken only where the provider does not say when it happened.
        is_training: the order is all that its job does; False for the images of a set.
        ends_job: nobody follows the provider and will fetch files, so that every end of a training ends its job.
    """
    if item.sent_at is not None and item.provider_id != sighting.provider_id:
        return []
    make = EventFactory(item.job_id)
    events = [_item(make, item, "sent", sighting, sighting.created_at or at)]
    if is_training:
        events.append(_described(make, _identity(sighting), sighting.created_at or at))
    if sighting.phase is not OrderPhase.STARTING:
        events += _progressed(make, item, sighting, at, is_training=is_training)
    if sighting.phase.is_over:
        events += _ended(make, item, sighting, via, at)
        if is_training:
            events += _training_ended(make, sighting, at, ends_job=ends_job)
    return events


def training_facts(sighting: Sighting) -> dict[str, Any]:
    """What a training that succeeded was given and how long it took; what was not told is left out."""
    told: dict[str, Any] = {name: _first(sighting.inputs, names) for name, names in _INPUTS.items()}
    if told["captioning"] is None and sighting.inputs.get("autocaption") is True:
        told["captioning"] = "automatic"
    told["training_steps"] = _whole(told["training_steps"])
    told |= {"predict_time": sighting.predict_time_s, "total_time": sighting.total_time_s}
    told["provider_version"] = sighting.version
    return {name: value for name, value in told.items() if value is not None}


def warnings_of(sighting: Sighting, *, is_training: bool = True) -> list[str]:
    """What should have been told and was not, in words."""
    missing: list[str] = []
    if is_training and sighting.phase is OrderPhase.SUCCEEDED and not sighting.data_removed:
        known = training_facts(sighting)
        missing = [f"input.{names[0]} is missing" for name, names in _INPUTS.items() if name not in known]
    return [*sighting.warnings, *missing]


def _identity(sighting: Sighting) -> dict[str, Any]:
    facts = {"provider": sighting.provider, "provider_id": sighting.provider_id, "provider_url": sighting.web_url}
    return {name: value for name, value in facts.items() if value is not None}


def _progressed(
    make: EventFactory, item: ItemState, sighting: Sighting, at: datetime, *, is_training: bool
) -> Iterator[JobEvent]:
    """It has begun. An order that ended without ever beginning has not."""
    began = sighting.started_at
    if began is None and sighting.phase is OrderPhase.SUCCEEDED and sighting.predict_time_s is not None:
        began = _ended_at(sighting, at) - timedelta(seconds=sighting.predict_time_s)
    elif began is None and sighting.phase is OrderPhase.PROCESSING:
        began = at
    if began is None:
        return
    yield _item(make, item, "processing", sighting, began)
    if is_training:
        started = make.started(ATTEMPT, at=began)
        # Each time that is told or heard is an event, of which the earliest counts, not the one that came first.
        yield replace(started, source="provider", key=f"{started.key}:{began.isoformat()}")


def _ended(make: EventFactory, item: ItemState, sighting: Sighting, via: Via, at: datetime) -> Iterator[JobEvent]:
    facts: dict[str, Any] = {"via": via, "heard_at": at.isoformat()}
    facts |= {"error": sighting.error, "outputs": list(sighting.outputs)}
    if sighting.phase is OrderPhase.FAILED:
        facts["error"] = sighting.error or NO_REASON
    status = sighting.phase.value
    yield _item(make, item, status, sighting, _ended_at(sighting, at), **facts)


def _training_ended(make: EventFactory, sighting: Sighting, at: datetime, *, ends_job: bool) -> Iterator[JobEvent]:
    ended = _ended_at(sighting, at)
    if sighting.phase is OrderPhase.SUCCEEDED:
        yield _described(make, training_facts(sighting), ended)
        if ends_job:
            yield make.succeeded(ATTEMPT, at=ended)
    elif sighting.phase is OrderPhase.FAILED:
        message = sighting.error or NO_REASON
        yield make.failed(ATTEMPT, reason=FailureReason.PROVIDER_FAILED, message=message, at=ended)
    elif ends_job:
        yield make.cancelled(at=ended, message=f"cancelled at {sighting.provider}")


def _ended_at(sighting: Sighting, at: datetime) -> datetime:
    return sighting.completed_at or at


def _item(make: EventFactory, item: ItemState, status: str, sighting: Sighting, at: datetime, **facts: Any) -> JobEvent:
    return make.item(
        item.item,
        order=max(item.order, 1),
        status=status,
        provider=sighting.provider,
        provider_id=sighting.provider_id,
        at=at,
        **facts,
    )


def _described(make: EventFactory, facts: Mapping[str, Any], at: datetime) -> JobEvent:
    """The same facts are the same event; a sighting that tells more adds to one that told less."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).digest()
    event = make.described(ATTEMPT, facts, seq=int.from_bytes(digest[:6], "big"), at=at)
    return replace(event, source="provider")


def _first(inputs: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((inputs[name] for name in names if inputs.get(name) not in (None, "")), None)


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value.strip()[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) else None
