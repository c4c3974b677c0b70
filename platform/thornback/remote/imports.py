"""A training that nobody here started, taken over from what its provider says of it. Pure.

The job's id follows from the provider's, so that a webhook, a poll and a sync that meet it at the same time
make one job.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pydantic import ValidationError

from thornback.backends.port import submission_id
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.items import ItemState
from thornback.jobs.lora import RemoteLoraConfig
from thornback.jobs.spec import RemoteLoraSpec
from thornback.metrics.port import NewJob
from thornback.providers.catalogue import Catalogue
from thornback.providers.entry import Trainer
from thornback.providers.port import Sighting
from thornback.remote.interpret import ATTEMPT, Via, events_of, training_facts

NAMESPACE = UUID("5c0f7a9e-6f0b-5b58-9f0e-1c6f3a4f7d21")
USER = "webhook"
IMPORTED = "imported"  # the tag; its value is the provider's id
UNKNOWN_DATASET = "unknown"  # the provider did not say what it trained on

_FIELDS = ("dataset", "trigger_word", "captioning", "steps", "learning_rate", "rank", "resolution", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """The job to be made and what has happened to it so far."""

    new: NewJob
    events: list[JobEvent]


def import_of(sighting: Sighting, *, via: Via, at: datetime, catalogue: Catalogue, ends_job: bool = False) -> Import:
    """Take a training over.

    Args:
        sighting: what was said of it.
        via: how it was heard.
        at: when it was heard.
        catalogue: finds the trainer and what its inputs mean.
        ends_job: as in `events_of`.
    """
    job_id = imported_id(sighting.provider, sighting.provider_id)
    begun = sighting.created_at or at
    spec = _spec(sighting, catalogue)
    new = NewJob(job_id=job_id, spec=spec.model_dump(mode="json"), user=USER, at=begun, runs_already=True)
    # Scheduled from the beginning, or the dispatcher would start it.
    scheduled = EventFactory(job_id).scheduled(ATTEMPT, submission_id=submission_id(job_id, 1), at=begun)
    item = ItemState(job_id=job_id, item=1, order=1, provider=sighting.provider)
    return Import(new=new, events=[scheduled, *events_of(item, sighting, via=via, at=at, ends_job=ends_job)])


def imported_id(provider: str, provider_id: str) -> str:
    """The id of the job that an unknown training becomes."""
    return str(uuid5(NAMESPACE, f"{provider}:{provider_id}"))


def is_imported(spec: Any) -> bool:
    """True for the specification of a job that was taken over."""
    return IMPORTED in spec.get("tags", {})


def _spec(sighting: Sighting, catalogue: Catalogue) -> RemoteLoraSpec:
    row = catalogue.by_endpoint(sighting.provider, sighting.model) if sighting.model else None
    trainer = row if isinstance(row, Trainer) else None
    told = _told(sighting, trainer)
    words = told.get("trigger_word") or (sighting.model or sighting.provider).rpartition("/")[2]
    return RemoteLoraSpec.model_validate(
        {
            "kind": "lora",
            "backend": sighting.provider,
            "job_name": f"{words} ({sighting.provider_id[:20]})"[:255],
            "max_retries": 0,
            "tags": {IMPORTED: sighting.provider_id},
            "config": _config(told),
        }
    )


def _told(sighting: Sighting, trainer: Trainer | None) -> dict[str, Any]:
    """Our fields, as far as the inputs tell them; a trainer that we do not know is read by the usual names."""
    facts = training_facts(sighting)
    usual = {
        "dataset": facts.get("input_images_url"),
        "trigger_word": facts.get("trigger_word"),
        "captioning": facts.get("captioning"),
        "steps": facts.get("training_steps"),
        "learning_rate": sighting.inputs.get("learning_rate"),
        "trainer": trainer.name if trainer else sighting.model,
        "destination": sighting.version.partition(":")[0] if sighting.version else None,
    }
    known = trainer.fields_of(sighting.inputs) if trainer else {}
    told = usual | {name: value for name, value in known.items() if value is not None and name in _FIELDS}
    return {name: value for name, value in told.items() if value is not None}


def _config(told: dict[str, Any]) -> RemoteLoraConfig:
    """What is not as ours would be (a word of another type, steps out of range) is left out."""
    told = {"dataset": UNKNOWN_DATASET} | told
    while True:
        try:
            return RemoteLoraConfig.model_validate(told)
        except ValidationError as error:
            wrong = {str(item["loc"][0]) for item in error.errors(include_url=False)}
            told = {name: value for name, value in told.items() if name not in wrong}
            told.setdefault("dataset", UNKNOWN_DATASET)
