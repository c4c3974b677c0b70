"""What a webhook says, as events of a job. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from thornback.jobs.events import JobEvent
from thornback.log import get_logger
from thornback.metrics.port import Delivery, NewJob
from thornback.providers.catalogue import Catalogue
from thornback.providers.port import Sighting
from thornback.remote.imports import import_of
from thornback.remote.interpret import events_of, warnings_of
from thornback.store.sought import Found

VIA: Final = "webhook"
LORA = "lora"  # the kind whose jobs are one training

# Inputs by which a training is told from a prediction, whose bodies have the same shape.
_TRAINING_INPUTS = frozenset({"input_images", "trigger_word", "captioning", "autocaption", "steps", "training_steps"})

_log = get_logger("webhooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A delivery with what it changes, ready to be committed."""

    delivery: Delivery
    events: list[JobEvent]
    new: NewJob | None = None  # a job that begins with it
    is_all: bool = False  # nobody follows the training, so that its log is to be had from here alone


class Interpreter:
    """The platform's opinion of a webhook. Pure: the same delivery about the same order means the same."""

    def __init__(self, *, catalogue: Catalogue, followed: Collection[str]) -> None:
        """Make one.

        Args:
            catalogue: reads the inputs of trainings that were started elsewhere.
            followed: the providers that somebody follows; of the others a webhook is all that will ever be
                heard, so that the end it tells is the end of the job.
        """
        self._catalogue = catalogue
        self._followed = frozenset(followed)

    def meaning(self, delivery: Delivery, sighting: Sighting, found: Found | None) -> Meaning:
        """Say what a webhook means.

        Args:
            delivery: as it came.
            sighting: what it says.
            found: which order of ours it is about; one without `provider_id` has not been answered yet, and
                the webhook is the first to tell its id. None: no order of ours.
        """
        if found is None:
            return self._unordered(delivery, sighting)
        order = found.item
        delivery = replace(delivery, job_id=order.job_id, item=order.item)
        if order.provider != sighting.provider:
            return dead(delivery, f"the order went to {order.provider}, not to {sighting.provider}")
        if order.provider_id not in (None, sighting.provider_id):
            known = f"order {order.order} of item {order.item} of this job is {order.provider_id}"
            return dead(delivery, f"{known}; {sighting.provider_id} was not ordered here")
        is_training = found.kind == LORA
        _warn(delivery, sighting, is_training=is_training)
        ends_job = sighting.provider not in self._followed
        events = events_of(
            order, sighting, via=VIA, at=delivery.received_at, is_training=is_training, ends_job=ends_job
        )
        return Meaning(delivery=delivery, events=events, is_all=is_training and ends_job)

    def _unordered(self, delivery: Delivery, sighting: Sighting) -> Meaning:
        if delivery.job_id is not None:
            return dead(delivery, f"job {delivery.job_id} has no such order; it may have been deleted")
        if not is_training(sighting):
            return dead(delivery, f"nobody here ordered {sighting.provider_id}")
        ends_job = sighting.provider not in self._followed
        made = import_of(sighting, via=VIA, at=delivery.received_at, catalogue=self._catalogue, ends_job=ends_job)
        delivery = replace(delivery, job_id=made.new.job_id, item=1)
        _warn(delivery, sighting, is_training=True)
        return Meaning(delivery=delivery, events=made.events, new=made.new, is_all=ends_job)


def dead(delivery: Delivery, problem: str) -> Meaning:
    """A delivery of which nothing comes."""
    return Meaning(delivery=replace(delivery, problem=problem), events=[])


def is_training(sighting: Sighting) -> bool:
    """True for a training that we might as well have started; a prediction of somebody else's is not ours to list."""
    if sighting.provider != "replicate":
        return False
    return "prompt" not in sighting.inputs or not _TRAINING_INPUTS.isdisjoint(sighting.inputs)


def _warn(delivery: Delivery, sighting: Sighting, *, is_training: bool) -> None:
    """Say what is missing; nothing is refused for it."""
    missing = warnings_of(sighting, is_training=is_training)
    if missing:
        _log.warning(
            "a webhook lacks something",
            provider=sighting.provider,
            provider_id=sighting.provider_id,
            job_id=delivery.job_id,
            missing=missing,
        )
