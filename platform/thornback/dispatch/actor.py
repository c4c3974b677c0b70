"""The dispatcher as a Ray actor: named, detached, restarts by itself, takes no CPU."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from thornback.backends.provider import SLOTS, ProviderBackend
from thornback.backends.ray_cluster import ENTRYPOINTS, RayClusterBackend
from thornback.errors import Unavailable
from thornback.log import configure_logging, get_logger
from thornback.providers.open import configured
from thornback.remote.actor import connect_tracker
from thornback.settings import Settings

DISPATCHER_ACTOR = "thornback-dispatcher"

log = get_logger("dispatcher")

# Beside the metrics actor and the database file of one machine.
_HEAD_NODE = {"node:__internal_head__": 0.001}
_OPTIONS: Mapping[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": 4}
_CONNECT_RETRY_S = 0.5
_HEALTH_S = 5.0


class DispatcherActor:
    """A Dispatcher in a thread with an event loop of its own, so that it also runs after a restart by Ray."""

    def __init__(self, settings: Settings, entrypoints: Mapping[str, str]) -> None:
        configure_logging(settings.log_level, secrets=settings.secrets)
        self._settings = settings
        self._entrypoints = entrypoints
        self._loop = asyncio.new_event_loop()
        self._dispatcher: Any = None
        self._connecting = "it is starting"
        threading.Thread(target=self._run, name="dispatcher", daemon=True).start()

    def wake(self) -> None:
        """Look soon."""
        if self._dispatcher is not None:
            self._loop.call_soon_threadsafe(self._dispatcher.wake)

    def health(self) -> dict[str, Any]:
        """See Dispatcher.health; before the first look `ok` is False and `last_error` says what is awaited."""
        if self._dispatcher is None:
            return {"ok": False, "ticks": 0, "last_error": {"message": self._connecting}}
        health: dict[str, Any] = self._dispatcher.health()
        return health

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        except BaseException:
            # It never ends by itself. Where it does, a fresh process is the cure, and Ray starts one.
            log.exception("the dispatcher ended")
            os._exit(1)

    async def _main(self) -> None:
        # Loaded in the actor's own process: whoever starts it needs no SQL.
        from thornback.dispatch.alerts import AlertWatch
        from thornback.dispatch.dispatcher import Dispatcher
        from thornback.dispatch.overrun import OverrunWatch
        from thornback.dispatch.sweeper import Sweeper
        from thornback.metrics.actor import ActorRecorder, connect
        from thornback.store.engine import open_engine
        from thornback.store.failures import read_failures
        from thornback.store.read import StoreReader

        recorder: ActorRecorder | None = None
        while recorder is None:
            try:
                recorder = await asyncio.to_thread(connect, self._settings)
            except Unavailable as error:
                self._connecting = error.message
                await asyncio.sleep(_CONNECT_RETRY_S)
        engine = open_engine(self._settings.database_url)
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
        await asyncio.gather(dispatcher.run(), alerts.run(), sweeper.run(), overrun.run())


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
    actor_class: Any = ray.remote(**_OPTIONS)(DispatcherActor)
    handle: ActorHandle[Any] = actor_class.options(
        name=DISPATCHER_ACTOR,
        namespace=settings.namespace,
        lifetime="detached",
        get_if_exists=True,
        resources=_HEAD_NODE,
    ).remote(settings, dict(entrypoints))
    return handle


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
