"""Which webhooks are told of what. Pure."""

from __future__ import annotations

from collections.abc import Collection

from thornback.access.sight import Sight
from thornback.jobs.state import JobState
from thornback.jobs.subscriptions import JobFilter, Told, Webhook


def wants(webhook: Webhook, told: Told, job: JobState, *, event_id: int, sight: Sight | None) -> bool:
    """True where a webhook is to be told of an event of a job.

    Args:
        webhook: it is told nothing of what was before it.
        told: what happened.
        job: as it stands.
        event_id: of the log.
        sight: what the webhook's owner may look at; None: everything.
    """
    return (
        webhook.is_enabled
        and told in webhook.events
        and event_id > webhook.from_event
        and (sight is None or sight.sees(owner=job.user, team=job.team))
        and covers(webhook.filter, job)
    )


def covers(filter: JobFilter, job: JobState) -> bool:
    """True where a job is in every list that is not empty and has all of the tags."""
    tags = job.spec.get("tags") or {}
    return (
        _in(job.kind, filter.kinds)
        and _in(job.backend, filter.backends)
        and _in(job.status, filter.statuses)
        and _in(job.user, filter.users)
        and _in(job.team, filter.teams)
        and _in(job.id, filter.jobs)
        and all(tags.get(name) == value for name, value in filter.tags.items())
    )


def _in(value: str | None, wanted: Collection[str]) -> bool:
    return not wanted or value in wanted
