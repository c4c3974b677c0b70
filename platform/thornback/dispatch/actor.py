"""The dispatcher as a Ray actor: named, detached, restarts by itself, takes no CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from thornback.backends.provider import SLOTS, ProviderBackend
from thornback.backends.ray_cluster import ENTRYPOINTS, RayClusterBackend
from thornback.errors import Unavailable
from thornback.metrics.service import ServiceActor, start_service
from thornback.providers.open import configured
from thornback.remote.actor import connect_tracker
from thornback.settings import Settings

DISPATCHER_ACTOR = "thornback-dispatcher"

_HEALTH_S = 5.0


class DispatcherActor(ServiceActor):
    """A Dispatcher, with what looks about at its side."""

    def __init__(self, settings: Settings, entrypoints: Mapping[str, str]) -> None:
        self._entrypoints = entrypoints
        self._dispatcher: Any = None
        super().__init__(settings, "dispatcher")

    def wake(self) -> None:
        """Look soon."""
        if self._dispatcher is not None:
            self._loop.call_soon_threadsafe(self._dispatcher.wake)

    def health(self) -> dict[str, Any]:
        """See Dispatcher.health; before the first look `ok` is False and `last_error` says what is awaited."""
        if self._dispatcher is None:
            return {"ok": False, "ticks": 0, "last_error": {"message": self._awaited}}
        health: dict[str, Any] = self._dispatcher.health()
        return health

    async def main(self) -> None:
        """Dispatch, watch for alerts, sweep."""
        from thornback.dispatch.alerts import AlertWatch
        from thornback.dispatch.dispatcher import Dispatcher
        from thornback.dispatch.overrun import OverrunWatch
        from thornback.dispatch.sweeper import Sweeper
        from thornback.health.platform_watch import open_watch
        from thornback.store.engine import engine_of
        from thornback.store.failures import read_failures
        from thornback.store.read import StoreReader

        recorder = await self.recorder()
        engine = engine_of(self._settings)
        dispatcher = Dispatcher(
            recorder=recorder,
            reader=StoreReader(engine),
            backends=[RayClusterBackend(self._settings, entrypoints=self._entrypoints), *_providers(self._settings)],
            settings=self._settings,
            now=lambda: datetime.now(UTC),
        )
        alerts = AlertWatch(
            recorder=recorder,
            failures=lambda since: read_failures(engine, since=since),
            rules=self._settings.alerts,
            now=lambda: datetime.now(UTC),
        )
        self._dispatcher = dispatcher
        sweeper = Sweeper(settings=self._settings, reader=StoreReader(engine), now=lambda: datetime.now(UTC))
        overrun = OverrunWatch(
            recorder=recorder, reader=StoreReader(engine), settings=self._settings, now=lambda: datetime.now(UTC)
        )
        watch = open_watch(self._settings, recorder=recorder, engine=engine)
        await asyncio.gather(dispatcher.run(), alerts.run(), sweeper.run(), overrun.run(), watch.run())


def _providers(settings: Settings) -> Iterator[ProviderBackend]:
    for name in configured(settings):
        slots = settings.provider_slots.get(name, SLOTS)
        yield ProviderBackend(name, connect_tracker(name, settings), slots=slots)


def start_dispatcher(settings: Settings, *, entrypoints: Mapping[str, str] = ENTRYPOINTS) -> ActorHandle[Any]:
    """Start the actor, or find the one that runs. Ray must be initialised.

    Args:
        settings: of the platform.
        entrypoints: the module that runs each kind of job.
    """
    return start_service(DispatcherActor, DISPATCHER_ACTOR, settings, settings, dict(entrypoints), calls=4)


def health_check(settings: Settings) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A function that asks the actor how it is doing, and raises Unavailable where it does not do well."""

    async def check() -> dict[str, Any]:
        try:
            actor: Any = await asyncio.to_thread(ray.get_actor, DISPATCHER_ACTOR, settings.namespace)
            health: dict[str, Any] = await asyncio.wait_for(_answer(actor.health.remote()), _HEALTH_S)
        except (ValueError, RayError, TimeoutError) as error:
            raise Unavailable(f"the dispatcher is away: {str(error) or type(error).__name__}") from error
        if not health["ok"]:
            problem = health["last_error"] or {"message": "its last look is long ago"}
            raise Unavailable(f"the dispatcher has a problem: {problem['message']}", health=health)
        return health

    return check


async def _answer(reference: Awaitable[Any]) -> Any:
    return await reference
