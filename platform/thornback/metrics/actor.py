"""The recorder as a Ray actor: named, detached, restarts by itself; and the client that others hold.

A call that was not answered when the process died is sent again by Ray to the restarted one. That is
harmless: repeated events are dropped by the database, and the other methods may be repeated by design.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError, RayTaskError

from thornback.access.audit import SYSTEM
from thornback.access.changes import Change
from thornback.errors import BackendError, ThornbackError, Unavailable
from thornback.jobs.events import JobEvent
from thornback.jobs.queue import QueueChange
from thornback.jobs.state import JobState
from thornback.jobs.versions import NewVersion, VersionPlan
from thornback.jobs.webhook_changes import WebhookChange
from thornback.metrics.gather import Gatherer
from thornback.metrics.names import (
    METRICS_ACTOR,
    actor_names,
    end_recorders,
    find_metrics_actor,
    running_recorders,
)
from thornback.metrics.one_node import require_file_node
from thornback.metrics.port import (
    Ack,
    Created,
    Curve,
    Delivery,
    NewJob,
    Page,
    QueuePlace,
    Receipt,
    Recorder,
    RecorderHealth,
    Speaker,
)
from thornback.settings import Settings
from thornback.spend.quotas import QuotaChange
from thornback.telemetry import traces
from thornback.telemetry.process import begin

# Ray gives the head node this resource. The actor stays there, beside the database file of one machine.
HEAD_NODE = {"node:__internal_head__": 0.001}

# Calls that may be in progress at once; each waiting one is a coroutine of a few kB.
WRITE_CALLS = 1000
POLL_CALLS = 2000
READ_CALLS = 50

# It restarts by itself and Ray sends it again what it had not answered.
ACTOR_OPTIONS: Mapping[str, Any] = {
    "num_cpus": 0,
    "max_restarts": -1,
    "max_task_retries": -1,
    "concurrency_groups": {"write": WRITE_CALLS, "poll": POLL_CALLS, "read": READ_CALLS, "health": READ_CALLS},
}

# How long a call may take, a restart of the actor included, before the caller is told that it is away.
CALL_S = 30.0
HEALTH_S = 10.0

# What `receive` is called with; its calls of one moment go together, with so many bytes of bodies.
ReceiveArguments = tuple[Delivery, Sequence[JobEvent], NewJob | None]
RECEIVE_BYTES = 4_000_000

# Waits between attempts to reach an actor that is gone, in seconds: 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 = 6.3.
RECONNECT_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


class MetricsActor:
    """A LocalRecorder behind Ray. Each concurrency group has an event loop of its own.

    One of several hands on what belongs to another: callers of another release, or from before their number was
    changed, send everything to the first.
    """

    def __init__(self, settings: Settings, number: int = 0) -> None:
        # Nothing here may fail because the database is away: Ray restarts an actor that dies, but not one
        # whose constructor raises.
        begin(settings, "recorder")
        # Loaded in the actor's own process: clients, such as training workers, need no SQL.
        from thornback.metrics.local import LocalRecorder

        require_file_node(settings)
        self._own = LocalRecorder.open(settings, number)
        self._recorder: Recorder = self._own
        if settings.metrics_shards > 1:
            self._recorder = _sharded(settings, {number: self._own})
        self._own.begin()

    @ray.method(concurrency_group="write")
    async def record(self, events: Sequence[JobEvent], speaker: Speaker | None = None) -> Ack:
        """See Recorder."""
        return await self._recorder.record(events, speaker=speaker)

    @ray.method(concurrency_group="write")
    async def create(self, new: NewJob) -> Created:
        """See Recorder."""
        return await self._recorder.create(new)

    @ray.method(concurrency_group="write")
    async def receive(self, calls: Sequence[ReceiveArguments]) -> list[Receipt | ThornbackError]:
        """See Recorder: many calls, each with its answer or its error."""
        return list(await asyncio.gather(*(self._receive_one(*call) for call in calls)))

    async def _receive_one(
        self, delivery: Delivery, events: Sequence[JobEvent], new: NewJob | None
    ) -> Receipt | ThornbackError:
        try:
            return await self._recorder.receive(delivery, events, new=new)
        except ThornbackError as error:
            return error

    @ray.method(concurrency_group="write")
    async def administer(self, change: Change | QueueChange | WebhookChange | QuotaChange, *, by: str = SYSTEM) -> bool:
        """See Recorder."""
        return await self._recorder.administer(change, by=by)

    @ray.method(concurrency_group="write")
    async def discard(self, delivery_id: int) -> None:
        """See Recorder."""
        await self._recorder.discard(delivery_id)

    @ray.method(concurrency_group="write")
    async def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """See Recorder."""
        await self._recorder.set_queue(places)

    @ray.method(concurrency_group="write")
    async def delete(self, job_id: str) -> None:
        """See Recorder."""
        await self._recorder.delete(job_id)

    @ray.method(concurrency_group="write")
    async def plan_version(self, user: str, model: str, job_id: str) -> VersionPlan:
        """See Recorder."""
        return await self._recorder.plan_version(user=user, model=model, job_id=job_id)

    @ray.method(concurrency_group="write")
    async def register_version(self, new: NewVersion) -> VersionPlan:
        """See Recorder."""
        return await self._recorder.register_version(new)

    @ray.method(concurrency_group="write")
    async def set_alias(self, user: str, model: str, alias: str, version: int | None, by: str, at: datetime) -> None:
        """See Recorder."""
        await self._recorder.set_alias(user=user, model=model, alias=alias, version=version, by=by, at=at)

    @ray.method(concurrency_group="write")
    async def note_version(self, user: str, model: str, version: int, notes: str) -> None:
        """See Recorder."""
        await self._recorder.note_version(user=user, model=model, version=version, notes=notes)

    @ray.method(concurrency_group="write")
    async def delete_version(self, user: str, model: str, version: int, by: str | None) -> None:
        """See Recorder."""
        await self._recorder.delete_version(user=user, model=model, version=version, by=by)

    @ray.method(concurrency_group="poll")
    async def poll(self, cursor: int, timeout_s: float, limit: int) -> Page:
        """See Recorder."""
        return await self._own.poll(cursor, timeout_s=timeout_s, limit=limit)

    @ray.method(concurrency_group="read")
    async def job(self, job_id: str) -> JobState:
        """See Recorder."""
        return await self._own.job(job_id)

    @ray.method(concurrency_group="read")
    async def curve(self, job_id: str, metric: str, steps: bool, after: int) -> Curve:
        """See Recorder."""
        return await self._own.curve(job_id, metric, steps=steps, after=after)

    @ray.method(concurrency_group="health")
    async def health(self) -> RecorderHealth:
        """See Recorder."""
        return await self._own.health()


def start_metrics_actor(settings: Settings) -> ActorHandle[Any]:
    """Start the actor, or as many as there should be; or find those that run. Ray must be initialised.

    Those of another number of shards are replaced. Returns the first.

    Raises:
        SettingsError: the database URL cannot work, or traces are wanted without their extra.
        StoreUnavailable: the folder of the database cannot be made.
        BackendError: those that are to be replaced do not end.
    """
    from thornback.store.engine import open_engine  # only whoever starts the platform needs SQL

    settings.check_shards()
    traces.check(settings)
    open_engine(settings.database_url).dispose()  # says here what the actor could only say in its log
    wanted = actor_names(settings.metrics_shards)
    running = running_recorders(settings.namespace)
    if running and set(running) != set(wanted):
        end_recorders(settings.namespace)
    actor_class: Any = ray.remote(**ACTOR_OPTIONS)(MetricsActor)
    options = {"namespace": settings.namespace, "lifetime": "detached", "get_if_exists": True, "resources": HEAD_NODE}
    handles = [actor_class.options(name=name, **options).remote(settings, number) for number, name in enumerate(wanted)]
    first: ActorHandle[Any] = handles[0]
    return first


def own_error(error: RayTaskError) -> ThornbackError:
    """What the actor's method raised, as the error that it was."""
    cause = error.cause
    if isinstance(cause, ThornbackError):
        return type(cause).rebuild(cause.message, cause.details)
    return BackendError(f"the metrics actor failed: {type(cause).__name__}: {cause}")


class ActorRecorder(Recorder):
    """The recorder as seen from another process."""

    def __init__(
        self, handle: ActorHandle[Any] | None, *, namespace: str | None = None, name: str = METRICS_ACTOR
    ) -> None:
        """The actor is called when it is needed.

        Args:
            handle: None: it is looked for at the first call.
            namespace: where to look for the actor that replaces a dead one; without it there is no such look.
            name: of that actor.
        """
        self._actor = handle
        self._namespace = namespace
        self._name = name
        # A call of an actor costs more than a webhook does.
        self._receiving: Gatherer[ReceiveArguments, Receipt] = Gatherer(
            self._receive, weigh=_weight, most=RECEIVE_BYTES, rounds=2
        )

    async def record(self, events: Sequence[JobEvent], *, speaker: Speaker | None = None) -> Ack:
        """See Recorder."""
        ack: Ack = await self._call(lambda actor: actor.record.remote(list(events), speaker), CALL_S)
        return ack

    async def create(self, new: NewJob) -> Created:
        """See Recorder."""
        created: Created = await self._call(lambda actor: actor.create.remote(new), CALL_S)
        return created

    async def receive(self, delivery: Delivery, events: Sequence[JobEvent], *, new: NewJob | None = None) -> Receipt:
        """See Recorder."""
        return await self._receiving((delivery, list(events), new))

    async def _receive(self, calls: list[ReceiveArguments]) -> Sequence[Receipt | ThornbackError]:
        answers: list[Receipt | ThornbackError] = await self._call(lambda actor: actor.receive.remote(calls), CALL_S)
        return answers

    async def administer(self, change: Change | QueueChange | WebhookChange | QuotaChange, *, by: str = SYSTEM) -> bool:
        """See Recorder."""
        done: bool = await self._call(lambda actor: actor.administer.remote(change, by=by), CALL_S)
        return done

    async def discard(self, delivery_id: int) -> None:
        """See Recorder."""
        await self._call(lambda actor: actor.discard.remote(delivery_id), CALL_S)

    async def poll(self, cursor: int, *, timeout_s: float, limit: int = 1000) -> Page:
        """See Recorder."""
        page: Page = await self._call(lambda actor: actor.poll.remote(cursor, timeout_s, limit), CALL_S + timeout_s)
        return page

    async def job(self, job_id: str) -> JobState:
        """See Recorder."""
        state: JobState = await self._call(lambda actor: actor.job.remote(job_id), CALL_S)
        return state

    async def curve(self, job_id: str, metric: str, *, steps: bool = False, after: int = 0) -> Curve:
        """See Recorder."""
        curve: Curve = await self._call(lambda actor: actor.curve.remote(job_id, metric, steps, after), CALL_S)
        return curve

    async def set_queue(self, places: Mapping[str, QueuePlace]) -> None:
        """See Recorder."""
        await self._call(lambda actor: actor.set_queue.remote(dict(places)), CALL_S)

    async def delete(self, job_id: str) -> None:
        """See Recorder."""
        await self._call(lambda actor: actor.delete.remote(job_id), CALL_S)

    async def plan_version(self, *, user: str, model: str, job_id: str) -> VersionPlan:
        """See Recorder."""
        plan: VersionPlan = await self._call(lambda actor: actor.plan_version.remote(user, model, job_id), CALL_S)
        return plan

    async def register_version(self, new: NewVersion) -> VersionPlan:
        """See Recorder."""
        plan: VersionPlan = await self._call(lambda actor: actor.register_version.remote(new), CALL_S)
        return plan

    async def set_alias(self, *, user: str, model: str, alias: str, version: int | None, by: str, at: datetime) -> None:
        """See Recorder."""
        await self._call(lambda actor: actor.set_alias.remote(user, model, alias, version, by, at), CALL_S)

    async def note_version(self, *, user: str, model: str, version: int, notes: str) -> None:
        """See Recorder."""
        await self._call(lambda actor: actor.note_version.remote(user, model, version, notes), CALL_S)

    async def delete_version(self, *, user: str, model: str, version: int, by: str | None = None) -> None:
        """See Recorder."""
        await self._call(lambda actor: actor.delete_version.remote(user, model, version, by), CALL_S)

    async def health(self) -> RecorderHealth:
        """See Recorder."""
        health: RecorderHealth = await self._call(lambda actor: actor.health.remote(), HEALTH_S)
        return health

    async def _call(self, send: Callable[[ActorHandle[Any]], Awaitable[Any]], timeout_s: float) -> Any:
        """Send, and send again where the actor died for good and another took its name."""
        for wait_s in (*RECONNECT_WAITS_S, None):
            try:
                if self._actor is None:
                    self._actor = await self._find()
                return await asyncio.wait_for(_answer(send(self._actor)), timeout_s)
            except TimeoutError:
                raise Unavailable(f"the metrics actor did not answer within {timeout_s:g} s") from None
            except RayTaskError as error:
                raise own_error(error) from None
            except RayActorError as error:
                if wait_s is None:
                    raise Unavailable(f"the metrics actor is away: {_first_line(error)}") from error
            except RayError as error:
                raise Unavailable(f"Ray lost the call: {_first_line(error)}") from error
            await asyncio.sleep(wait_s)
            await self._look_again()
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _look_again(self) -> None:
        if self._namespace is None:
            return
        try:
            self._actor = await self._find()
        except Unavailable:
            return  # not there yet; the next attempt says so itself

    async def _find(self) -> ActorHandle[Any]:
        return await asyncio.to_thread(find_metrics_actor, self._namespace or "", self._name)


def _weight(call: ReceiveArguments) -> int:
    return len(call[0].body) + 1000


async def _answer(reference: Awaitable[Any]) -> Any:
    return await reference


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def connect(settings: Settings) -> Recorder:
    """The recorder of the actors that run. Raises Unavailable where there is none.

    A driver, which is not told of the database, speaks to the first of several; its `poll` gives that one's events.
    """
    if settings.metrics_shards > 1 and not settings.database_url.startswith("sqlite"):
        find_metrics_actor(settings.namespace)
        return _sharded(settings, {})
    return ActorRecorder(find_metrics_actor(settings.namespace), namespace=settings.namespace)


def _sharded(settings: Settings, own: Mapping[int, Recorder]) -> Recorder:
    """All shards; `own`: those that are in this process."""
    from thornback.metrics.sharded import ShardedRecorder
    from thornback.store.engine import engine_of
    from thornback.store.read import StoreReader

    shards = [
        own.get(number) or ActorRecorder(None, namespace=settings.namespace, name=name)
        for number, name in enumerate(actor_names(settings.metrics_shards))
    ]
    return ShardedRecorder(shards, StoreReader(engine_of(settings)))
