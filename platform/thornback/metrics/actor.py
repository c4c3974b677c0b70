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
from thornback.metrics.port import (
    Ack,
    Created,
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
from thornback.telemetry.process import begin

METRICS_ACTOR = "thornback-metrics"

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
    """A LocalRecorder behind Ray. Each concurrency group has an event loop of its own."""

    def __init__(self, settings: Settings) -> None:
        # Nothing here may fail because the database is away: Ray restarts an actor that dies, but not one
        # whose constructor raises.
        begin(settings, "recorder")
        # Loaded in the actor's own process: clients, such as training workers, need no SQL.
        from thornback.metrics.local import LocalRecorder

        self._recorder = LocalRecorder.open(settings)
        self._recorder.begin()

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
        return await self._recorder.poll(cursor, timeout_s=timeout_s, limit=limit)

    @ray.method(concurrency_group="read")
    async def job(self, job_id: str) -> JobState:
        """See Recorder."""
        return await self._recorder.job(job_id)

    @ray.method(concurrency_group="health")
    async def health(self) -> RecorderHealth:
        """See Recorder."""
        return await self._recorder.health()


def start_metrics_actor(settings: Settings) -> ActorHandle[Any]:
    """Start the actor, or find the one that runs. Ray must be initialised.

    Raises:
        SettingsError: the database URL cannot work.
        StoreUnavailable: the folder of the database cannot be made.
    """
    from thornback.store.engine import open_engine  # only whoever starts the platform needs SQL

    open_engine(settings.database_url).dispose()  # says here what the actor could only say in its log
    actor_class: Any = ray.remote(**ACTOR_OPTIONS)(MetricsActor)
    handle: ActorHandle[Any] = actor_class.options(
        name=METRICS_ACTOR,
        namespace=settings.namespace,
        lifetime="detached",
        get_if_exists=True,
        resources=HEAD_NODE,
    ).remote(settings)
    return handle


def find_metrics_actor(namespace: str) -> ActorHandle[Any]:
    """The actor that runs. Blocks for a call to Ray's control store.

    Raises:
        Unavailable: there is none, or this process is not connected to Ray.
    """
    if not ray.is_initialized():
        raise Unavailable("this process is not connected to Ray")  # and must not start a cluster by accident
    try:
        return ray.get_actor(METRICS_ACTOR, namespace=namespace)
    except (ValueError, RayError) as error:
        raise Unavailable(
            f"there is no metrics actor in namespace {namespace!r}; start the platform with `thornback up`"
        ) from error


def own_error(error: RayTaskError) -> ThornbackError:
    """What the actor's method raised, as the error that it was."""
    cause = error.cause
    if isinstance(cause, ThornbackError):
        return type(cause).rebuild(cause.message, cause.details)
    return BackendError(f"the metrics actor failed: {type(cause).__name__}: {cause}")


class ActorRecorder(Recorder):
    """The recorder as seen from another process."""

    def __init__(self, handle: ActorHandle[Any], *, namespace: str | None = None) -> None:
        """`namespace`: where to look for the actor that replaces a dead one; without it there is no such look."""
        self._actor = handle
        self._namespace = namespace
        # A call of an actor costs more than a webhook does.
        self._receiving: Gatherer[ReceiveArguments, Receipt] = Gatherer(
            self._receive, weigh=_weight, most=RECEIVE_BYTES, rounds=2
        )

    @classmethod
    def connect(cls, settings: Settings) -> ActorRecorder:
        """Find the actor. Raises Unavailable where there is none."""
        return connect(settings)

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
            self._actor = await asyncio.to_thread(find_metrics_actor, self._namespace)
        except Unavailable:
            return  # not there yet; the next attempt says so itself


def _weight(call: ReceiveArguments) -> int:
    return len(call[0].body) + 1000


async def _answer(reference: Awaitable[Any]) -> Any:
    return await reference


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def connect(settings: Settings) -> ActorRecorder:
    """A recorder on the actor that runs. Raises Unavailable where there is none."""
    return ActorRecorder(find_metrics_actor(settings.namespace), namespace=settings.namespace)
