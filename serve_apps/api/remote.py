"""What several routes do with jobs at a provider: look again, take over, take down a version."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from serve_apps.api.context import ApiContext
from serve_apps.api.find import find_job
from serve_apps.api.hub import Subscription
from serve_apps.api.principal import Principal
from serve_apps.api.seen import check_sees
from serve_apps.api.views import provider as provider_of
from thornback.errors import JobNotFound
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.state import JobState
from thornback.providers.open import configured
from thornback.store.columns import canonical_id

# Weights of a hundred megabytes take a few seconds; whoever asks sees `running` after this, and the end later.
SETTLE_S = 10.0


@dataclass(frozen=True, slots=True)
class Synced:
    """A job that is now as its provider says."""

    job_id: str
    imported: bool  # it was not known here before


async def check_sees_named(context: ApiContext, caller: Principal, id: str) -> None:
    """Raises JobNotFound where a job has this id, ours or the provider's, that the caller may not know of."""
    try:
        job = (await context.read(lambda store: find_job(store, id))).state
    except JobNotFound:
        return
    check_sees(caller, job, named=id)


async def refresh(context: ApiContext, job: JobState) -> str | None:
    """Look at the provider for a reader; returns why that was not possible, None where all is known."""
    provider = provider_of(job)
    if provider is None or job.status.is_final:
        return None
    return await context.tracking.try_sync(provider, job.id)


async def sync(context: ApiContext, id: str, *, provider: str) -> Synced:
    """Look at the provider now, for a job of ours or a training that was started elsewhere.

    Args:
        context: the parts of the API.
        id: ours, or the provider's.
        provider: who is asked for an id that is not known here.

    Raises:
        JobNotFound: neither we nor the provider know it.
        ProviderUnavailable: the provider does not answer.
    """
    try:
        job = (await context.read(lambda store: find_job(store, id))).state
    except JobNotFound:
        return await import_training(context, provider, id)
    own = provider_of(job)
    if own is not None and not job.status.is_final:
        with await context.hub.join(job_id=job.id, after=None, counted=False) as stream:
            await context.tracking.sync(own, job.id)
            await _settle(context, job.id, stream)
    return Synced(job.id, imported=False)


async def import_training(context: ApiContext, provider: str, provider_id: str) -> Synced:
    """Take over a training that was started elsewhere. Raises as `sync`."""
    # Ours have this form, Replicate's never: one that was deleted is not worth a question.
    if provider == "replicate" and canonical_id(provider_id) is not None:
        raise JobNotFound(provider_id)
    if provider not in configured(context.settings):
        raise JobNotFound(provider_id)
    tracker = context.tracking.tracker(provider)
    with await context.hub.join(job_id=None, after=None, counted=False) as stream:
        job_id = await tracker.import_training(provider_id)
        await _settle(context, job_id, stream)
    return Synced(job_id, imported=True)


async def _settle(context: ApiContext, job_id: str, stream: Subscription) -> None:
    """A training that is over ends its job once its files are here: wait for that, but not for ever."""
    job, items = await context.read(lambda store: (store.job(job_id).state, store.items(job_id)))
    if job.status.is_final or len(items) != 1 or not items[0].status.is_over:
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_S
    while (left := deadline - loop.time()) > 0:
        if any(event.job_id == job_id and event.kind.is_final for event in await stream.next(left)):
            return


async def note_version(context: ApiContext, job_id: str, version: str) -> None:
    """Take down the version that a training made, as somebody says who knows."""
    job = (await context.read(lambda store: store.job(job_id))).state
    if job.fact("provider_version") == version:
        return
    now = datetime.now(UTC)
    # A voice of its own, so that it never has the key of what the run says about itself.
    events = EventFactory(job_id, voice="sync")
    attempt = Attempt(max(job.mark.attempt, 1), job.mark.restart)
    seq = int(now.timestamp() * 1_000_000)
    await context.recorder.record([events.described(attempt, {"provider_version": version}, seq=seq, at=now)])
