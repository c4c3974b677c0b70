"""Log and progress of a training at a provider that nobody follows: a webhook is all that is heard of it.

Where somebody does, the tracker reads the same bodies from the inbox, and this stays out of the way. Both
number lines by the characters taken, so that one may go on where the other stopped.
"""

from __future__ import annotations

from dataclasses import replace

from thornback.errors import JobNotFound
from thornback.jobs.events import JobEvent
from thornback.jobs.progress import USUAL_SECONDS
from thornback.jobs.state import JobState
from thornback.providers.port import Sighting
from thornback.remote.interpret import training_facts
from thornback.remote.journal import PROVIDER_RANK, Journal
from thornback.remote.reading import Reading
from thornback.store.read import StoreReader
from thornback.webhooks.find import Asks
from thornback.webhooks.meaning import Meaning

# Each webhook brings the whole log, which is read anew. A longer one stays in the inbox alone: its sender waits.
MAX_CHARS = 200_000

_TAIL = 500  # lines in which the last one of the provider's is looked for


async def with_log(ask: Asks, meaning: Meaning, sighting: Sighting) -> Meaning:
    """Add what the log of a sighting brings. Raises StoreUnavailable."""
    job_id = meaning.delivery.job_id
    if not sighting.logs or len(sighting.logs) > MAX_CHARS or job_id is None:
        return meaning

    def read(store: StoreReader) -> list[JobEvent]:
        job, taken = _standing(store, job_id)
        if not job.spec and meaning.new is not None:
            job = replace(job, spec=meaning.new.spec)
        return _heard(job, sighting, taken, meaning)  # here, off the event loop: a log may have megabytes

    return replace(meaning, events=[*await ask(read), *meaning.events])


def _standing(store: StoreReader, job_id: str) -> tuple[JobState, int]:
    """The job, and how many characters of its log are known."""
    try:
        job = store.job(job_id).state
    except JobNotFound:
        return JobState(id=job_id), 0
    chunks = store.logs(job_id, tail=_TAIL)
    return job, max((chunk.seq for chunk in chunks if chunk.rank == PROVIDER_RANK), default=0)


def _heard(job: JobState, sighting: Sighting, taken: int, meaning: Meaning) -> list[JobEvent]:
    at = meaning.delivery.received_at
    steps = job.spec.get("config", {}).get("steps") or training_facts(sighting).get("training_steps")
    journal = Journal(job, Reading(job, steps=steps, usual_s=USUAL_SECONDS, history=()), taken=taken)
    events = journal.take(sighting, at=at)
    return events + journal.close(at=at) if sighting.phase.is_over else events
