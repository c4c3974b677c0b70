"""The tracker of a provider as a Ray actor: named, detached, restarts by itself, takes no CPU; and its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError, RayTaskError

from thornback.errors import BackendError, ThornbackError, Unavailable
from thornback.metrics.service import ServiceActor, start_service
from thornback.providers.open import configured
from thornback.settings import Settings

PREFIX = "thornback-provider-"

T = TypeVar("T")

# How long the callers wait. The dispatcher looks at all backends at once, and none may hold it up.
SURVEY_S = 3.0
CALL_S = 30.0
SYNC_S = 120.0  # the provider is asked, several times where it is in trouble


class TrackerActor(ServiceActor):
    """A Tracker."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._tracker: Any = None
        super().__init__(settings, f"tracker of {name}")

    async def start(self, job_id: str) -> None:
        """See Tracker."""
        await self._call(self._found().start(job_id))

    async def cancel(self, job_id: str) -> None:
        """See Tracker."""
        await self._call(self._found().cancel(job_id))

    async def alive(self) -> list[str]:
        """See Tracker."""
        jobs: list[str] = await self._call(self._found().alive())
        return jobs

    async def sync(self, job_id: str) -> str:
        """See Tracker."""
        words: str = await self._call(self._found().sync(job_id))
        return words

    async def import_training(self, provider_id: str) -> str:
        """See Tracker."""
        job_id: str = await self._call(self._found().import_training(provider_id))
        return job_id

    async def health(self) -> dict[str, Any]:
        """See Tracker; before it runs `ready` is False and `last_problem` says what is awaited."""
        if self._tracker is None:
            return {"provider": self._name, "ready": False, "last_problem": {"message": self._awaited}}
        health: dict[str, Any] = self._tracker.health()
        return health

    def _found(self) -> Any:
        if self._tracker is None:
            raise Unavailable(f"the tracker of {self._name} is not there yet: {self._awaited}")
        return self._tracker

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def main(self) -> None:
        """Follow what runs there."""
        from thornback.net.client import GuardedClient
        from thornback.net.rules import AddressRules
        from thornback.providers.catalogue import load_catalogue
        from thornback.providers.open import open_provider
        from thornback.remote.desk import Desk
        from thornback.remote.tracker import Tracker
        from thornback.store.engine import engine_of
        from thornback.store.read import StoreReader

        recorder = await self.recorder()
        async with GuardedClient(AddressRules.of(self._settings)) as http:
            desk = Desk(
                provider=open_provider(self._name, self._settings, _now),
                recorder=recorder,
                reader=StoreReader(engine_of(self._settings)),
                settings=self._settings,
                catalogue=load_catalogue(self._settings),
                now=_now,
                http=http,
            )
            self._tracker = Tracker(desk)
            await self._tracker.run()


def start_trackers(settings: Settings) -> list[ActorHandle[Any]]:
    """Start an actor for each provider that there is a key for, or find those that run. Ray must be initialised.

    Raises:
        SettingsError: the user's catalogue or the list of allowed addresses cannot be used.
    """
    from thornback.net.rules import AddressRules
    from thornback.providers.catalogue import load_catalogue

    names = configured(settings)
    if names:
        AddressRules.of(settings), load_catalogue(settings)  # say here what the actor could only say in its log
    return [_start(name, settings) for name in names]


def actor_name(provider: str) -> str:
    """The name of a provider's actor."""
    return f"{PREFIX}{provider}"


class RemoteTracker:
    """The tracker as seen from another process. Every method raises Unavailable where it is away."""

    def __init__(self, provider: str, settings: Settings) -> None:
        """It is looked for with the first call, and again after it is gone."""
        self._provider = provider
        self._namespace = settings.namespace
        self._actor: ActorHandle[Any] | None = None

    async def start(self, job_id: str) -> None:
        """See Tracker."""
        await self._call(lambda actor: actor.start.remote(job_id), CALL_S)

    async def cancel(self, job_id: str) -> None:
        """See Tracker."""
        await self._call(lambda actor: actor.cancel.remote(job_id), CALL_S)

    async def alive(self) -> list[str]:
        """See Tracker."""
        jobs: list[str] = await self._call(lambda actor: actor.alive.remote(), SURVEY_S)
        return jobs

    async def sync(self, job_id: str) -> str:
        """See Tracker."""
        words: str = await self._call(lambda actor: actor.sync.remote(job_id), SYNC_S)
        return words

    async def import_training(self, provider_id: str) -> str:
        """See Tracker."""
        job_id: str = await self._call(lambda actor: actor.import_training.remote(provider_id), SYNC_S)
        return job_id

    async def health(self) -> dict[str, Any]:
        """See Tracker."""
        health: dict[str, Any] = await self._call(lambda actor: actor.health.remote(), SURVEY_S)
        return health

    async def _call(self, send: Callable[[ActorHandle[Any]], Awaitable[Any]], timeout_s: float) -> Any:
        try:
            if self._actor is None:
                self._actor = await asyncio.to_thread(find, self._provider, self._namespace)
            return await asyncio.wait_for(_answer(send(self._actor)), timeout_s)
        except TimeoutError:
            raise Unavailable(f"the tracker of {self._provider} did not answer within {timeout_s:g} s") from None
        except RayTaskError as error:
            raise _own_error(error) from None
        except RayError as error:
            self._actor = None if isinstance(error, RayActorError) else self._actor
            raise Unavailable(f"the tracker of {self._provider} is away: {_first_line(error)}") from error


def find(provider: str, namespace: str) -> ActorHandle[Any]:
    """The actor that runs. Blocks for a call to Ray's control store. Raises Unavailable where there is none."""
    if not ray.is_initialized():
        raise Unavailable("this process is not connected to Ray")  # and must not start a cluster by accident
    try:
        return ray.get_actor(actor_name(provider), namespace=namespace)
    except (ValueError, RayError) as error:
        raise Unavailable(f"nothing follows {provider} here; set its key and start the platform again") from error


def connect_tracker(name: str, settings: Settings) -> RemoteTracker:
    """The tracker of a provider, found or not; its methods say so. Does not block."""
    return RemoteTracker(name, settings)


def _start(name: str, settings: Settings) -> ActorHandle[Any]:
    return start_service(TrackerActor, actor_name(name), settings, name, settings, calls=100)


def _own_error(error: RayTaskError) -> ThornbackError:
    """What the actor's method raised, as the error that it was."""
    cause = error.cause
    if isinstance(cause, ThornbackError):
        return type(cause).rebuild(cause.message, cause.details)
    return BackendError(f"the tracker failed: {type(cause).__name__}: {cause}")


async def _answer(reference: Awaitable[Any]) -> Any:
    return await reference


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _now() -> datetime:
    return datetime.now(UTC)
