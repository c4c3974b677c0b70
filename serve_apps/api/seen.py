"""Who may look at which jobs, where a route answers about several of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from serve_apps.api.context import ApiContext
from serve_apps.api.principal import Principal
from thornback.access.sight import Sight
from thornback.errors import Forbidden, InvalidInput, JobNotFound
from thornback.jobs.events import PLATFORM_ID, EventKind
from thornback.jobs.spec import JobSpec
from thornback.jobs.state import JobState
from thornback.metrics.port import StreamEvent

_REMEMBERED = 10_000  # jobs of one stream; the team and the owner of a job never change


class SeenJobs:
    """Which jobs a caller sees, remembered for as long as a stream lasts."""

    def __init__(self, context: ApiContext, sight: Sight | None) -> None:
        self._context, self._sight = context, sight
        self._known: dict[str, bool] = {}

    async def of(self, job_ids: Iterable[str]) -> set[str]:
        """Those of the jobs that may be seen; unknown ones may not."""
        wanted = set(job_ids)
        if self._sight is None:
            return wanted
        missing = sorted(wanted - self._known.keys())
        if missing:
            owners = await self._context.read(lambda store: store.owners_of(missing))
            if len(self._known) + len(missing) > _REMEMBERED:
                self._known = {id: self._known[id] for id in wanted - set(missing)}
            for id in missing:
                if id in owners:  # one that is gone may be told of by its tombstone
                    owner, team = owners[id]
                    self._known[id] = self._sight.sees(owner=owner, team=team)
        return {id for id in wanted if self._known.get(id, False)}

    async def events(self, events: Sequence[StreamEvent]) -> list[StreamEvent]:
        """Those events that may be seen."""
        if self._sight is None:
            return list(events)
        told = {event.job_id for event in events if self._is_told(event)}
        seen = told | await self.of({event.job_id for event in events} - told)
        return [event for event in events if event.job_id in seen]

    def _is_told(self, event: StreamEvent) -> bool:
        """The platform's own events concern everybody; a tombstone says whose the job was."""
        if event.job_id == PLATFORM_ID:
            return True
        if event.kind is not EventKind.DELETED or "user" not in event.data or self._sight is None:
            return False
        return self._sight.sees(owner=str(event.data["user"]), team=event.data.get("team"))


def check_sees(caller: Principal, job: JobState, *, named: str | None = None) -> None:
    """Raises JobNotFound where the caller may not know of the job; `named` is what they called it."""
    if caller.sight is not None and not caller.sight.sees(owner=job.user, team=job.team):
        raise JobNotFound(named or job.id)


def check_kind(caller: Principal, kind: str) -> None:
    """Raises Forbidden where the caller's API key is for other kinds of jobs."""
    kinds = None if caller.limits is None else caller.limits.kinds
    if kinds is not None and kind not in kinds:
        raise Forbidden(f"the API key starts no jobs of kind {kind}; it is for {', '.join(sorted(kinds))}")


async def check_references(context: ApiContext, caller: Principal, spec: JobSpec) -> None:
    """Raises InvalidInput where a configuration names a job that the caller may not know of."""
    dataset = getattr(spec.config, "dataset", None)
    if caller.sight is None or not isinstance(dataset, str) or not dataset.startswith("job:"):
        return
    id = dataset.removeprefix("job:")
    owners = await context.read(lambda store: store.owners_of([id]))
    if not any(caller.sight.sees(owner=owner, team=team) for owner, team in owners.values()):
        raise InvalidInput.field("config.dataset", f"there is no job {id}")


async def team_of_new_job(context: ApiContext, caller: Principal, wanted: str | None) -> str | None:
    """The team of a job that the caller makes. Raises InvalidInput where it is none of theirs."""
    is_limited = caller.limits is not None and caller.limits.teams is not None
    if is_limited and wanted is None and len(caller.teams) != 1:
        raise InvalidInput.field(
            "team", f"your API key is for teams: name one of {', '.join(sorted(caller.teams)) or '-'}"
        )
    if wanted is None:
        return next(iter(caller.teams)) if len(caller.teams) == 1 else None
    known = {team.id for team in await context.read(lambda _: context.access.teams())} if caller.is_admin else set()
    if wanted not in known | caller.teams:
        raise InvalidInput.field("team", f"you are in no team {wanted!r}")
    return wanted
